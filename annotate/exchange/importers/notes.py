"""What an import did not take over as it stood, for the person who imports: fields, rows and cells."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# Why something was left out, and how often, as a sentence.
LEFT_OUT: dict[str, Callable[[int], str]] = {
    "deleted_messages": lambda n: ngettext(
        "%(count)d message that was deleted or rejected in the source was left out",
        "%(count)d messages that were deleted or rejected in the source were left out",
        n,
    ),
    "surplus_answers": lambda n: ngettext(
        "%(count)d answer was left out, as its prompt has too many",
        "%(count)d answers were left out, as their prompts have too many",
        n,
    ),
    "unsubmitted_answers": lambda n: ngettext(
        "%(count)d answer that was not submitted was left out",
        "%(count)d answers that were not submitted were left out",
        n,
    ),
    "cancelled_annotations": lambda n: ngettext(
        "%(count)d annotation that was cancelled or empty was left out",
        "%(count)d annotations that were cancelled or empty were left out",
        n,
    ),
    "ignored_tasks": lambda n: ngettext(
        "%(count)d task that its rater ignored or rejected has no judgement",
        "%(count)d tasks that their raters ignored or rejected have no judgement",
        n,
    ),
    "undecided_tasks": lambda n: ngettext(
        "%(count)d task without a choice has no judgement", "%(count)d tasks without a choice have no judgement", n
    ),
}
# Of the counts of an import, those that need a sentence.
COUNTED: dict[str, Callable[[int], str]] = {
    "repeats": lambda n: ngettext(
        "%(count)d judgement repeats an earlier one of the same rater (self-consistency)",
        "%(count)d judgements repeat earlier ones of the same rater (self-consistency)",
        n,
    ),
    "duplicate_judgements": lambda n: ngettext(
        "%(count)d judgement stands in the file more than once and counts once",
        "%(count)d judgements stand in the file more than once and count once",
        n,
    ),
    "other_split": lambda n: ngettext(
        "%(count)d row names another split than its prompt has; the prompt keeps its split",
        "%(count)d rows name another split than their prompts have; the prompts keep their splits",
        n,
    ),
}


class Notes:
    """ignored: fields that hold something and that nothing reads. left_out: how often something was left out, by the
    key of LEFT_OUT. remarks: sentences on how a file was read."""

    def __init__(self) -> None:
        self.ignored: dict[str, None] = {}
        self.left_out: Counter[str] = Counter()
        self.remarks: list[str] = []

    def ignore(self, names: Iterable[str]) -> None:
        self.ignored.update(dict.fromkeys(names))

    def leave_out(self, reason: str, count: int = 1) -> None:
        self.left_out[reason] += count

    def remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)


def left_out(counts: Mapping[str, int]) -> list[str]:
    """A sentence for each reason."""
    return [LEFT_OUT[reason](count) % {"count": count} for reason, count in counts.items()]


def details(result: Mapping[str, Any]) -> list[str]:
    """What the import with this result did not take over as it stood, a sentence each."""
    lines = left_out(result["left_out"])
    if result["ignored_fields"]:
        lines.append(_("ignored: %(fields)s") % {"fields": ", ".join(result["ignored_fields"])})
    lines += [say(result[name]) % {"count": result[name]} for name, say in COUNTED.items() if result[name]]
    return [*lines, *result["remarks"]]
