"""Files that are read while their request waits."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils.translation import gettext as _

from annotate.models.studies import Study
from core.errors import PalateError

MAX_MB = 5
# What a form sends beside its file.
OVERHEAD = 64 * 1024


def known_answers_allowance(request: HttpRequest, slug: str) -> int:
    """Return the bytes that the user may send as a file of known answers; 0 for who does not manage the study."""
    return MAX_MB * 2**20 + OVERHEAD if Study.objects.managed_by(request.user).filter(slug=slug).exists() else 0


@contextmanager
def stored(upload: UploadedFile) -> Iterator[Path]:
    """The upload as a file of its own name, for as long as the block runs. Raises PalateError when it is too large."""
    if (upload.size or 0) > MAX_MB * 2**20:
        raise PalateError(_("The file has more than %(most)d MB; split it.") % {"most": MAX_MB})
    with TemporaryDirectory() as folder:
        path = Path(folder) / _safe(upload.name or "")
        with path.open("wb") as file:
            file.writelines(upload.chunks())
        try:
            yield path
        except PalateError as error:
            # The folder is nothing to the person who chose the file.
            raise PalateError(str(error).replace(f"{folder}/", "")) from None


def _safe(name: str) -> str:
    """The name with an ending that a file may have on any disk: letters and digits, few of them."""
    return re.sub(r"[^\w.-]", "_", name)[-60:].lstrip(".") or "file.csv"
