"""What must hold of a bundle whatever its shape, told with file, line and field."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.utils.translation import gettext as _

from annotate.exchange.files.rows import EARLIEST, Row, brief, is_number, is_past, storable
from annotate.exchange.importers.import_records import MOST_RESPONSES, Bundle, Said, dense
from annotate.models.choices import ChosenBy, Part, Purpose, RaterStatus
from annotate.models.judgements import MOST_SECONDS
from annotate.models.prompts import Split

MOST_NAME, MOST_LABEL, MAX_VERSION = 200, 100, 2**31 - 1
SPLITS, PURPOSES = frozenset(Split.values), frozenset(Purpose.values)


def check(bundle: Bundle) -> None:
    """Raises PalateError when the bundle cannot be stored."""
    row = bundle.row
    _sound_name(bundle, {"prompt_id": bundle.prompt_id, "group": bundle.group})
    for response in bundle.responses:
        _sound_name(bundle, {"response_id": response.external_id, "author": response.author})
    if bundle.split and bundle.split not in SPLITS:
        wanted = _("%(split)r is no split; expected %(known)s")
        row.fail("split", wanted, split=bundle.split, known=", ".join(Split.values))
    if bundle.purpose not in PURPOSES:
        wanted = _("%(value)r; expected one of %(known)s")
        row.fail("purpose", wanted, value=bundle.purpose, known=", ".join(Purpose.values))
    if bundle.chosen_by and bundle.chosen_by not in ChosenBy.values:
        wanted = _("%(value)r; expected one of %(known)s")
        row.fail("chosen_by", wanted, value=bundle.chosen_by, known=", ".join(ChosenBy.values))
    if len(bundle.responses) > MOST_RESPONSES:
        wanted = _("has %(count)d; at most %(most)d to a prompt are taken at once")
        row.fail("responses", wanted, count=len(bundle.responses), most=MOST_RESPONSES)
    row = Row(row.file, row.line, {"prompt": bundle.prompt, "response": ""})
    row.text("prompt")
    for response in bundle.responses:
        row.values["response"] = response.text
        row.text("response", blank=True)
    known = {response.external_id for response in bundle.responses}
    for said in bundle.said:
        _check_said(bundle, said, known)


def _sound_name(bundle: Bundle, names: dict[str, str]) -> None:
    for field, name in names.items():
        if len(name) > MOST_NAME:
            wanted = _("has %(length)d characters; at most %(most)d are allowed")
            bundle.row.fail(field, wanted, length=len(name), most=MOST_NAME)
        _check_storable(bundle.row, field, name)


def _check_storable(row: Row, field: str, text: Any) -> None:
    if not isinstance(text, str) or not storable(text):
        expected = _("%(value)s; expected a text without NUL characters and halves of surrogate pairs")
        row.fail(field, expected, value=ascii(text)[:60])


def _check_said(bundle: Bundle, said: Said, known: set[str]) -> None:
    row, k = bundle.row, len(said.shown)
    texts = {"rater": said.rater or "", "comment": said.comment, "label": said.label, "device": said.device}
    for field, text in (texts | {"judgement_id": said.external_id, "supersedes": said.supersedes}).items():
        _check_storable(row, field, text)
    if not 0 <= said.instructions_version <= MAX_VERSION:
        row.fail("instructions_version", _("%(value)s is no version"), value=brief(said.instructions_version))
    if not set(said.shown) <= known or len(set(said.shown)) != k or not k:
        wanted = _("the responses judged are not different ones of this row; equal texts cannot be compared")
        row.fail("responses", wanted)
    if said.ranks is None and not said.scores:
        row.fail("rank", _("is missing, and so are scores; expected ranks, scores or both"))
    if said.ranks is not None and list(said.ranks) != _dense_or_none(said, k):
        wanted = _("%(ranks)r is not a ranking of %(k)d: 1 the best, ties equal, none left out")
        row.fail("rank", wanted, ranks=list(said.ranks), k=k)
    if said.unacceptable and (len(said.unacceptable) != k or not all(isinstance(f, bool) for f in said.unacceptable)):
        wanted = _("%(flags)r; expected true or false for each of %(k)d responses")
        row.fail("unacceptable", wanted, flags=list(said.unacceptable), k=k)
    if said.strength is not None and not _has_strength(said, k):
        wanted = _("%(value)r; expected 1, 2 or 3, and only for two responses of different rank")
        row.fail("strength", wanted, value=said.strength)
    if len(said.label) > MOST_LABEL:
        wanted = _("has %(length)d characters; at most %(most)d are allowed")
        row.fail("label", wanted, length=len(said.label), most=MOST_LABEL)
    if said.confidence is not None and (said.confidence not in (1, 2, 3) or not said.label):
        wanted = _("%(value)r; expected 1, 2 or 3, and only beside a label")
        row.fail("confidence", wanted, value=said.confidence)
    if said.seconds is not None and not (is_number(said.seconds) and 0 <= said.seconds <= MOST_SECONDS):
        wanted = _("%(value)s; expected a number from 0 to %(most)g")
        row.fail("seconds", wanted, value=brief(said.seconds), most=MOST_SECONDS)
    if said.at is not None and not is_past(said.at):
        wanted = _("%(value)s; expected a moment since %(year)d that is not in the future")
        row.fail("at", wanted, value=said.at, year=EARLIEST.year)
    if said.part not in Part.values:
        row.fail("part", _("%(value)r; expected one of %(known)s"), value=said.part, known=", ".join(Part.values))
    if said.status and said.status not in RaterStatus.values:
        wanted = _("%(value)r; expected one of %(known)s")
        row.fail("rater_status", wanted, value=said.status, known=", ".join(RaterStatus.values))
    if said.rater is not None and not 0 < len(said.rater) <= MOST_NAME:
        wanted = _("has %(length)d characters; expected 1 to %(most)d")
        row.fail("rater", wanted, length=len(said.rater), most=MOST_NAME)
    for key, values in said.scores.items():
        _check_scores(bundle, key, list(values), k)


def _has_strength(said: Said, k: int) -> bool:
    return said.strength in (1, 2, 3) and said.strength is not True and k == 2 and len(set(said.ranks or ())) == 2


def check_criterion(row: Row, key: str) -> None:
    """Raises PalateError when a key of `scores` cannot name a criterion."""
    try:
        validate_slug(key)
    except ValidationError:
        row.fail("scores", _("%(key)r is no name of a criterion: letters, digits, - and _ only"), key=key)
    if len(key) > 50:
        row.fail("scores", _("%(key)r has more than 50 characters"), key=key)


def _dense_or_none(said: Said, k: int) -> list[int] | None:
    ranks = list(said.ranks or ())
    return dense(ranks) if len(ranks) == k and all(isinstance(rank, int) for rank in ranks) else None


def _check_scores(bundle: Bundle, key: str, values: list[float], k: int) -> None:
    check_criterion(bundle.row, key)
    if len(values) != k or not all(is_number(value) for value in values):
        wanted = _("%(values)s; expected one number for each response, %(k)d in all")
        bundle.row.fail(f"scores.{key}", wanted, values=brief(values), k=k)
