"""Remove uploaded files that no pending import needs."""

from annotate.exchange.importers.stored_uploads import remove_uploads
from training.models import Run


def remove_unneeded_uploads() -> int:
    """Delete the uploads that no waiting or running import will read; return how many."""
    return remove_uploads(needed=Run.objects.uploads_needed())
