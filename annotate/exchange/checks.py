"""What must hold of a bundle whatever its shape, told with file, line and field."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug

from annotate.exchange.bundles import MOST_RESPONSES, Bundle, Said, dense
from annotate.exchange.files import Row, brief, is_number
from annotate.judgements.models import MOST_SECONDS
from annotate.members.models import Standing
from annotate.prompts.models import Split
from annotate.tasks.models import Part, Purpose

MOST_NAME, MOST_LABEL = 200, 100
SPLITS, PURPOSES = frozenset(Split.values), frozenset(Purpose.values)


def check(bundle: Bundle) -> None:
    """Raises PalateError when the bundle cannot be stored."""
    row = bundle.row
    names = {"prompt_id": bundle.prompt_id, "group": bundle.group}
    for response in bundle.responses:
        names |= {"response_id": response.external_id, "author": response.author}
        _sound_name(bundle, names)
    _sound_name(bundle, names)
    if bundle.split and bundle.split not in SPLITS:
        row.fail("split", f"{bundle.split!r} is no split; expected {', '.join(Split.values)}")
    if bundle.purpose not in PURPOSES:
        row.fail("purpose", f"{bundle.purpose!r}; expected one of {', '.join(Purpose.values)}")
    if len(bundle.responses) > MOST_RESPONSES:
        row.fail("responses", f"has {len(bundle.responses)}; at most {MOST_RESPONSES} to a prompt are taken at once")
    row = Row(row.file, row.line, {"prompt": bundle.prompt, "response": ""})
    row.text("prompt")
    for response in bundle.responses:
        row.values["response"] = response.text
        row.text("response")
    known = {response.external_id for response in bundle.responses}
    for said in bundle.said:
        _check_said(bundle, said, known)


def _sound_name(bundle: Bundle, names: dict[str, str]) -> None:
    for field, name in names.items():
        if len(name) > MOST_NAME:
            bundle.row.fail(field, f"has {len(name)} characters; at most {MOST_NAME} are allowed")
        if "\0" in name:
            bundle.row.fail(field, "holds a NUL character, which PostgreSQL cannot store")


def _check_said(bundle: Bundle, said: Said, known: set[str]) -> None:
    row, k = bundle.row, len(said.shown)
    if not set(said.shown) <= known or len(set(said.shown)) != k or not k:
        row.fail("responses", "the responses judged are not different ones of this row; equal texts cannot be compared")
    if said.ranks is None and not said.scores:
        row.fail("rank", "is missing, and so are scores; expected ranks, scores or both")
    if said.ranks is not None and list(said.ranks) != _dense_or_none(said, k):
        row.fail("rank", f"{list(said.ranks)!r} is not a ranking of {k}: 1 the best, ties equal, none left out")
    if said.unacceptable and (len(said.unacceptable) != k or not all(isinstance(f, bool) for f in said.unacceptable)):
        row.fail("unacceptable", f"{list(said.unacceptable)!r}; expected true or false for each of {k} responses")
    if said.strength is not None and not _has_strength(said, k):
        row.fail("strength", f"{said.strength!r}; expected 1, 2 or 3, and only for two responses of different rank")
    if len(said.label) > MOST_LABEL:
        row.fail("label", f"has {len(said.label)} characters; at most {MOST_LABEL} are allowed")
    if said.confidence is not None and (said.confidence not in (1, 2, 3) or not said.label):
        row.fail("confidence", f"{said.confidence!r}; expected 1, 2 or 3, and only beside a label")
    if said.seconds is not None and not (is_number(said.seconds) and 0 <= said.seconds <= MOST_SECONDS):
        row.fail("seconds", f"{brief(said.seconds)}; expected a number from 0 to {MOST_SECONDS:g}")
    if said.part not in Part.values:
        row.fail("part", f"{said.part!r}; expected one of {', '.join(Part.values)}")
    if said.standing and said.standing not in Standing.values:
        row.fail("rater_standing", f"{said.standing!r}; expected one of {', '.join(Standing.values)}")
    if said.rater is not None and not 0 < len(said.rater) <= MOST_NAME:
        row.fail("rater", f"has {len(said.rater)} characters; expected 1 to {MOST_NAME}")
    for key, values in said.scores.items():
        _check_scores(bundle, key, list(values), k)


def _has_strength(said: Said, k: int) -> bool:
    return said.strength in (1, 2, 3) and said.strength is not True and k == 2 and len(set(said.ranks or ())) == 2


def check_criterion(row: Row, key: str) -> None:
    """Raises PalateError when a key of `scores` cannot name a criterion."""
    try:
        validate_slug(key)
    except ValidationError:
        row.fail("scores", f"{key!r} is no name of a criterion: letters, digits, - and _ only")
    if len(key) > 50:
        row.fail("scores", f"{key!r} has more than 50 characters")


def _dense_or_none(said: Said, k: int) -> list[int] | None:
    ranks = list(said.ranks or ())
    return dense(ranks) if len(ranks) == k and all(isinstance(rank, int) for rank in ranks) else None


def _check_scores(bundle: Bundle, key: str, values: list[float], k: int) -> None:
    check_criterion(bundle.row, key)
    if len(values) != k or not all(is_number(value) for value in values):
        bundle.row.fail(f"scores.{key}", f"{brief(values)}; expected a list of {k} numbers, one for each response")
