"""Static files under names with a hash of their content, compressed."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    # The modules of static/js import each other; their imports get hashed names, too.
    support_js_module_import_aggregation = True
    # A file that is not in the manifest keeps its plain name, under which it is served, too.
    manifest_strict = False
