"""Uploaded files that wait for the run that reads them: where they lie, how much a member may store, when they go."""

import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from annotate.exchange.files.limits import MB
from annotate.models.studies import Study
from core.errors import PalateError


def upload_folder() -> Path:
    return Path(settings.VAR_DIR) / "uploads"


def new_upload(*, study: Study, user: int) -> Path:
    """Make an empty folder for the files of one upload."""
    folder = upload_folder() / f"{study.pk}-{user}-{secrets.token_hex(8)}"
    folder.mkdir(parents=True)
    return folder


def upload_allowance(request: HttpRequest, slug: str) -> int:
    """Return the bytes that the user may upload to the study; 0 for who does not manage it.

    Raises PalateError where the quota leaves no room for this request.
    """
    study = Study.objects.managed_by(request.user).filter(slug=slug).first()
    if study is None:
        return 0
    check_room(study=study, user=int(request.user.pk or 0), size=int(request.META.get("CONTENT_LENGTH") or 0))
    return settings.IMPORT_MAX_MB * MB


def check_room(*, study: Study, user: int, size: int) -> None:
    """Raise PalateError when the stored uploads of the user, in all studies, or of the study would exceed the quota."""
    sizes = [(folder.name.split("-"), _size(folder)) for folder in _folders()]
    of_study = sum(size for (first, *_rest), size in sizes if first == str(study.pk))
    of_user = sum(size for (_study, *rest), size in sizes if len(rest) == 2 and rest[0] == str(user))
    if max(of_study, of_user) + size > settings.UPLOAD_QUOTA_MB * MB:
        message = _(
            "Uploads of one member, and of one study, may take %(most)d MB (UPLOAD_QUOTA_MB). They are deleted "
            "%(hours)g hours after their imports; try again then, or upload less."
        )
        raise PalateError(message % {"most": settings.UPLOAD_QUOTA_MB, "hours": settings.UNUSED_UPLOAD_HOURS})


def remove_uploads(*, needed: Collection[Path]) -> int:
    """Delete uploads that no run needs after UNUSED_UPLOAD_HOURS, all after KEEP_TECHNICAL_DAYS; return how many."""
    longest, removed = settings.KEEP_TECHNICAL_DAYS * 24.0, 0
    for folder in _folders():
        hours = longest if folder in needed else min(settings.UNUSED_UPLOAD_HOURS, longest)
        if folder.stat().st_mtime < time.time() - hours * 3600:
            shutil.rmtree(folder)
            removed += 1
    return removed


def _folders() -> Iterator[Path]:
    return upload_folder().iterdir() if upload_folder().is_dir() else iter(())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else folder.stat().st_size
