"""Fields of a file that nothing reads: always named, and refused where they may hold responses or judgements."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.exporters.exports import RAW
from annotate.exchange.files.rows import Row, Values, is_number, wrong
from annotate.exchange.formats.conversations import is_conversation
from annotate.exchange.formats.plain import SCORE
from annotate.exchange.formats.raw import ROWS
from annotate.exchange.importers.import_records import Bundle
from annotate.exchange.importers.notes import Notes
from core.errors import PalateError

VERDICTS = {
    *("winner", "preferred", "preference", "preferences", "better", "best", "worse", "worst", "safer", "verdict"),
    *("choice", "choose", "vote", "votes", "comparison", "ranking", "rankings"),
    *("judgement", "judgements", "judgment", "judgments"),
}
SCORES = {
    *("loser", "chosen", "rejected", "rank", "ranks", "accept", "accepted", "pick", "selected", "annotation"),
    *(
        "annotations",
        "score",
        "scores",
        "rating",
        "ratings",
        "rated",
        "label",
        "labels",
        "reward",
        "rewards",
        "quality",
    ),
    *("helpful", "helpfulness", "harmless", "harmlessness", "honest", "honesty", "truthful", "truthfulness", "correct"),
    *("correctness", "coherence", "complexity", "verbosity", "relevance", "fluency", "adequacy", "accuracy", "safe"),
    *(
        "safety",
        "unsafe",
        "toxicity",
        "severity",
        "feedback",
        "thumbs",
        "upvotes",
        "grade",
        "likert",
        "overall",
        "margin",
    ),
}
RESPONSES = {
    *(
        "response",
        "responses",
        "answer",
        "answers",
        "completion",
        "completions",
        "output",
        "outputs",
        "reply",
        "replies",
    ),
    *("generation", "generations", "candidate", "candidates", "option", "options", "choices", "chosen", "rejected"),
    *("hypothesis", "hypotheses"),
}
# A name with one of these says something about a response or a judgement, and is neither.
ABOUT = {
    *("id", "ids", "model", "models", "source", "author", "name", "len", "length", "tokens", "token", "count", "num"),
    *("number", "url", "type", "lang", "language", "time", "date", "timestamp", "hash", "metadata", "suggestion"),
    *("policy", "generator", "format"),
}


def note_unread(row: Row, shape: str, bundles: Sequence[Bundle], notes: Notes) -> None:
    """Take down the fields that nobody read. Raises Refused where dropping them would lose responses or judgements."""
    unread = _unread(row)
    if not unread:
        return
    judged = any(bundle.judgements for bundle in bundles)
    lost = {name: value for name, value in unread.items() if _is_verdict(name, value)}
    if not judged:
        lost |= {name: v for name, v in unread.items() if _is_judgement(name, v) or _is_response(name, v)}
    if lost:
        raise Refused(row, shape, lost)
    notes.ignore(unread)


class Refused(PalateError):
    """An import that would drop responses or judgements without a word; the message says which flags read them."""

    def __init__(self, row: Row, shape: str, lost: Mapping[str, Any]) -> None:
        message = _(
            "rows read as %(shape)r leave fields unread that look like responses or judgements: %(fields)s. "
            "Nothing was imported. %(proposal)s, or leave them out with --ignore %(names)s"
        )
        names = ", ".join(lost)
        proposal = proposed_mapping(row, lost)
        hint = _("Map them with --map FIELD=COLUMN")
        if proposal:
            hint = _("Map them: %(flags)s") % {"flags": " ".join(proposal)}
        words = {"fields": names, "shape": shape, "proposal": hint, "names": ",".join(lost)}
        super().__init__(str(wrong(row.file.name, message % words, row.line)))


def proposed_mapping(row: Row, lost: Mapping[str, Any]) -> list[str]:
    """Flags that would read these fields, by their names and contents: a proposal for the user to look at."""
    held = {name: dict.get(row.values, name) for name in row.values}
    texts = [name for name, value in held.items() if _is_response(name, value) and isinstance(value, str)]
    lists = [name for name in lost if _is_response(name, lost[name]) and isinstance(lost[name], list)]
    marks = [name for name in lost if name not in texts and name not in lists]
    flags = []
    if "winner" in held or any(name.startswith(SCORE) for name in held):
        return []
    if len(texts) == 2 and "response" not in texts:
        flags += [f"--map {side}={name}" for side, name in zip(("response_a", "response_b"), texts, strict=True)]
        verdicts = [name for name in marks if _is_verdict(name, held[name])]
        flags += [f"--map winner={name}" for name in verdicts or marks if isinstance(held[name], str | int)][:1]
    elif len(texts) == 1:
        flags += [f"--map response={texts[0]}"] if texts[0] != "response" else []
        flags += [f"--map {SCORE}{_key(name)}={name}" for name in marks if is_number(_as_number(lost[name]))]
    elif len(lists) == 1:
        flags.append(f"--map responses={lists[0]}")
    return [*([] if "prompt" in held else _prompt_flag(held)), *map(_quoted, flags)] if flags else []


def _prompt_flag(held: Mapping[str, Any]) -> list[str]:
    names = ("question", "instruction", "query", "input", "text")
    name = next((name for name in names if isinstance(held.get(name), str)), "")
    return [f"--map prompt={name}"] if name in ("input", "text") else []


def _quoted(flag: str) -> str:
    head, _space, rest = flag.partition(" ")
    return f"{head} '{rest}'" if " " in rest else flag


def _key(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower()[:50]


def _as_number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _unread(row: Row) -> dict[str, Any]:
    """Of Palate's own raw rows, which come bundled, the columns that a raw export does not have."""
    if own := dict.get(row.values, ROWS):
        return {name: None for inner in own for name in inner.values if name not in RAW}
    return row.values.unread() if isinstance(row.values, Values) else {}


@lru_cache(maxsize=1000)  # every row asks the same names
def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))


def _is_verdict(name: str, value: Any) -> bool:
    words = _words(name)
    # The winner is often given by its id: better_response_id.
    return bool(words & VERDICTS) and not words & ABOUT - {"id"} and len(str(value)) < 200


def _is_judgement(name: str, value: Any) -> bool:
    return bool(_words(name) & (SCORES | VERDICTS)) and not _words(name) & ABOUT


def _is_response(name: str, value: Any) -> bool:
    """Whether a field may hold a response: by its name, or because it is a conversation with an answer in it."""
    if is_conversation(value):
        entries = value if isinstance(value, list) else [value]
        return any(str(m.get("role") or m.get("from")).lower() in ("assistant", "gpt") for m in entries)
    named = bool(_words(name) & RESPONSES) and not _words(name) & (ABOUT | SCORES | VERDICTS)
    return named and isinstance(value, str | list | dict) and _as_number(value) in (None, value)
