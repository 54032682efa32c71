from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.utils.translation import gettext as _

from annotate.models.studies import Method, Study
from annotate.studies.operations import create_study
from core.errors import PalateError


def study_for_import(
    slug: str, method: str = Method.COMPARE, criteria: Sequence[Mapping[str, Any]] = ()
) -> tuple[Study, bool]:
    """The study with this short name, locked, and whether it was made just now (with method and criteria)."""
    try:
        validate_slug(slug)
    except ValidationError:
        message = _("STUDY %(slug)r: a short name has only letters, digits, - and _")
        raise PalateError(message % {"slug": slug}) from None
    study = Study.objects.select_for_update().filter(slug=slug).first()
    if study:
        return study, False
    name = slug.replace("-", " ").replace("_", " ").capitalize()
    return create_study(slug=slug, name=name, method=method, criteria=criteria), True
