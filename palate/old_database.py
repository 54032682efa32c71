"""A database from before the first release, whose migrations have begun anew since."""

from django.db import connection

from core.errors import PalateError


def check_release() -> None:
    """Raises PalateError for a database that was made before the migrations began anew."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations')")
        if cursor.fetchone()[0] is None:
            return
        cursor.execute(
            "SELECT count(*) FROM django_migrations WHERE app = 'annotate' AND name = '0003_judgement_rules'"
        )
        if cursor.fetchone()[0]:
            raise PalateError(
                "this database was made by a version from before the first release and cannot be migrated; export what "
                "you need with that version, then start with another PALATE_VAR or an empty database"
            )
