import os

from django.core.wsgi import get_wsgi_application

from core.request_bodies import utf8_only

# A web process answers several requests at once and stands beside others: one more thread of linear algebra for each
# processor in each of them would only make all of them wait. Before numpy is loaded, which reads this once.
for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")
application = utf8_only(get_wsgi_application())


def _load_pages() -> None:
    """Import every page before the first request comes, which would wait seconds for it."""
    from django.urls import get_resolver

    _ = get_resolver().url_patterns


_load_pages()
