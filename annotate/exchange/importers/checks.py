"""Checks of an imported bundle, whatever its format; errors name file, line and field."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.utils.translation import gettext as _

from annotate.exchange.files.rows import EARLIEST, Row, brief, is_number, is_past, storable
from annotate.exchange.importers.import_records import MAX_RESPONSES, Bundle, ImportedJudgement, dense
from annotate.models.choices import ChosenBy, Part, Purpose, RaterStatus
from annotate.models.judgements import MAX_SECONDS
from annotate.models.prompts import Split

MAX_NAME, MAX_LABEL, MAX_VERSION = 200, 100, 2**31 - 1
SPLITS, PURPOSES = frozenset(Split.values), frozenset(Purpose.values)


def check(bundle: Bundle) -> None:
    """Raises PalateError when the bundle cannot be stored."""
    row = bundle.row
    _sound_name(bundle, {"prompt_id": bundle.prompt_id, "group": bundle.group})
    for response in bundle.responses:
        _sound_name(bundle, {"response_id": response.external_id, "author": response.author})
    if bundle.split and bundle.split not in SPLITS:
        message = _("%(split)r is no split; expected %(known)s")
        row.fail("split", message, split=bundle.split, known=", ".join(Split.values))
    if bundle.purpose not in PURPOSES:
        message = _("%(value)r; expected one of %(known)s")
        row.fail("purpose", message, value=bundle.purpose, known=", ".join(Purpose.values))
    if bundle.chosen_by and bundle.chosen_by not in ChosenBy.values:
        message = _("%(value)r; expected one of %(known)s")
        row.fail("chosen_by", message, value=bundle.chosen_by, known=", ".join(ChosenBy.values))
    if len(bundle.responses) > MAX_RESPONSES:
        message = _("has %(count)d; at most %(most)d to a prompt are taken at once")
        row.fail("responses", message, count=len(bundle.responses), most=MAX_RESPONSES)
    row = Row(row.file, row.line, {"prompt": bundle.prompt, "response": ""})
    row.text("prompt")
    for response in bundle.responses:
        row.values["response"] = response.text
        row.text("response", blank=True)
    known = {response.external_id for response in bundle.responses}
    for judgement in bundle.judgements:
        _check_judgement(bundle, judgement, known)


def _sound_name(bundle: Bundle, names: dict[str, str]) -> None:
    for field, name in names.items():
        if len(name) > MAX_NAME:
            message = _("has %(length)d characters; at most %(most)d are allowed")
            bundle.row.fail(field, message, length=len(name), most=MAX_NAME)
        _check_storable(bundle.row, field, name)


def _check_storable(row: Row, field: str, text: Any) -> None:
    if not isinstance(text, str) or not storable(text):
        expected = _("%(value)s; expected a text without NUL characters and halves of surrogate pairs")
        row.fail(field, expected, value=ascii(text)[:60])


def _check_judgement(bundle: Bundle, judgement: ImportedJudgement, known: set[str]) -> None:
    row, k = bundle.row, len(judgement.shown)
    texts = {
        "rater": judgement.rater or "",
        "comment": judgement.comment,
        "label": judgement.label,
        "device": judgement.device,
    }
    for field, text in (texts | {"judgement_id": judgement.external_id, "supersedes": judgement.supersedes}).items():
        _check_storable(row, field, text)
    if not 0 <= judgement.instructions_version <= MAX_VERSION:
        row.fail("instructions_version", _("%(value)s is no version"), value=brief(judgement.instructions_version))
    if not set(judgement.shown) <= known or len(set(judgement.shown)) != k or not k:
        message = _("the responses judged are not different ones of this row; equal texts cannot be compared")
        row.fail("responses", message)
    if judgement.ranks is None and not judgement.scores:
        row.fail("rank", _("is missing, and so are scores; expected ranks, scores or both"))
    if judgement.ranks is not None and list(judgement.ranks) != _dense_or_none(judgement, k):
        message = _("%(ranks)r is not a ranking of %(k)d: 1 the best, ties equal, none left out")
        row.fail("rank", message, ranks=list(judgement.ranks), k=k)
    if judgement.unacceptable and (
        len(judgement.unacceptable) != k or not all(isinstance(f, bool) for f in judgement.unacceptable)
    ):
        message = _("%(flags)r; expected true or false for each of %(k)d responses")
        row.fail("unacceptable", message, flags=list(judgement.unacceptable), k=k)
    if judgement.strength is not None and not _has_strength(judgement, k):
        message = _("%(value)r; expected 1, 2 or 3, and only for two responses of different rank")
        row.fail("strength", message, value=judgement.strength)
    if len(judgement.label) > MAX_LABEL:
        message = _("has %(length)d characters; at most %(most)d are allowed")
        row.fail("label", message, length=len(judgement.label), most=MAX_LABEL)
    if judgement.confidence is not None and (judgement.confidence not in (1, 2, 3) or not judgement.label):
        message = _("%(value)r; expected 1, 2 or 3, and only with a label")
        row.fail("confidence", message, value=judgement.confidence)
    if judgement.seconds is not None and not (is_number(judgement.seconds) and 0 <= judgement.seconds <= MAX_SECONDS):
        message = _("%(value)s; expected a number from 0 to %(most)g")
        row.fail("seconds", message, value=brief(judgement.seconds), most=MAX_SECONDS)
    if judgement.at is not None and not is_past(judgement.at):
        message = _("%(value)s; expected a moment since %(year)d that is not in the future")
        row.fail("at", message, value=judgement.at, year=EARLIEST.year)
    if judgement.part not in Part.values:
        row.fail("part", _("%(value)r; expected one of %(known)s"), value=judgement.part, known=", ".join(Part.values))
    if judgement.status and judgement.status not in RaterStatus.values:
        message = _("%(value)r; expected one of %(known)s")
        row.fail("rater_status", message, value=judgement.status, known=", ".join(RaterStatus.values))
    if judgement.rater is not None and not 0 < len(judgement.rater) <= MAX_NAME:
        message = _("has %(length)d characters; expected 1 to %(most)d")
        row.fail("rater", message, length=len(judgement.rater), most=MAX_NAME)
    for key, values in judgement.scores.items():
        _check_scores(bundle, key, list(values), k)


def _has_strength(judgement: ImportedJudgement, k: int) -> bool:
    return (
        judgement.strength in (1, 2, 3)
        and judgement.strength is not True
        and k == 2
        and len(set(judgement.ranks or ())) == 2
    )


def check_criterion(row: Row, key: str) -> None:
    """Raises PalateError when a key of `scores` cannot name a criterion."""
    try:
        validate_slug(key)
    except ValidationError:
        row.fail("scores", _("%(key)r is no name of a criterion: letters, digits, - and _ only"), key=key)
    if len(key) > 50:
        row.fail("scores", _("%(key)r has more than 50 characters"), key=key)


def _dense_or_none(judgement: ImportedJudgement, k: int) -> list[int] | None:
    ranks = list(judgement.ranks or ())
    return dense(ranks) if len(ranks) == k and all(isinstance(rank, int) for rank in ranks) else None


def _check_scores(bundle: Bundle, key: str, values: list[float], k: int) -> None:
    check_criterion(bundle.row, key)
    if len(values) != k or not all(is_number(value) for value in values):
        message = _("%(values)s; expected one number for each response, %(k)d in all")
        bundle.row.fail(f"scores.{key}", message, values=brief(values), k=k)
