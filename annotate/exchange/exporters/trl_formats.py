"""Training data in the forms that TRL's trainers take: preference, unpaired preference, prompt-only.

Plain texts join prompt and response as Palate's own models read them; messages leave that to a chat template.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from annotate.exchange.exporters import iterate
from annotate.exchange.exporters.policy import Policy
from annotate.exchange.files.tables import Row, Table
from annotate.models.studies import Study
from core.errors import PalateError
from core.records import SEPARATOR, labels_of


@dataclass(frozen=True)
class Style:
    """texts: plain or conversational (messages). prompt: explicit (a column of its own) or implicit (within both
    responses; only for preference)."""

    texts: str = "plain"
    prompt: str = "explicit"

    def __post_init__(self) -> None:
        if self.texts not in ("plain", "conversational"):
            raise PalateError(f"texts: {self.texts!r}; expected plain or conversational")
        if self.prompt not in ("explicit", "implicit"):
            raise PalateError(f"prompt: {self.prompt!r}; expected explicit or implicit")

    @property
    def kind(self) -> str:
        return "messages" if self.texts == "conversational" else "text"

    def asked(self, group: iterate.Group) -> Any:
        if self.kind == "messages":
            return group.messages or [{"role": "user", "content": group.text}]
        return group.text + SEPARATOR

    def answered(self, response: str) -> Any:
        return [{"role": "assistant", "content": response}] if self.kind == "messages" else response


def preference(study: Study, split: str, policy: Policy, style: Style) -> Table:
    """A row a pair with a winner. Ties are never kept here: the form has no word for them."""
    both = {"chosen": style.kind, "rejected": style.kind}
    columns = both if style.prompt == "implicit" else {"prompt": style.kind, **both}
    return Table(columns, _preference_rows(study, split, policy, style))


def _preference_rows(study: Study, split: str, policy: Policy, style: Style) -> Iterator[Row]:
    for group, records in iterate.records(study, split, policy.counted(study)):
        for pair in policy.pairs(records):
            if not pair.margin:
                policy.left_out["ties"] += 1
                continue
            a, b = (group.responses[int(pk)].text for pk in (pair.a_id, pair.b_id))
            chosen, rejected = map(style.answered, (a, b) if pair.margin > 0 else (b, a))
            prompt = style.asked(group)
            yield [prompt + chosen, prompt + rejected] if style.prompt == "implicit" else [prompt, chosen, rejected]


def unpaired(study: Study, split: str, policy: Policy, style: Style) -> Table:
    """A row a response that is good or bad: by the labels that raters gave it, or else true when it got more votes than
    the responses it was compared with.

    A response that most of its raters find unacceptable has the label false.
    """
    columns = {"prompt": style.kind, "completion": style.kind, "label": "bool"}
    return Table(columns, _unpaired_rows(study, split, policy, style))


def _unpaired_rows(study: Study, split: str, policy: Policy, style: Style) -> Iterator[Row]:
    for group, records in iterate.records(study, split, policy.counted(study)):
        labels = {labelled.response_id: labelled.label for labelled in labels_of(records)}
        margins: dict[str, float] = defaultdict(float)
        flags: dict[str, list[bool]] = defaultdict(list)
        for pair in policy.pairs(records):
            margins[pair.a_id] += pair.margin
            margins[pair.b_id] -= pair.margin
        for record in records:
            for response, flag in zip(record.response_ids, record.unacceptable, strict=True):
                flags[response].append(flag)
        for response in sorted(flags, key=int):
            refused = 2 * sum(flags[response]) > len(flags[response])
            label = labels.get(response)
            balance = margins[response] if label is None else label - 0.5
            if not refused and not balance:
                policy.left_out["neither better nor worse"] += 1
                continue
            text = style.answered(group.responses[int(response)].text)
            yield [style.asked(group), text, not refused and balance > 0]


def prompts(study: Study, split: str, policy: Policy, style: Style) -> Table:
    """A row a prompt, judged or not."""
    return Table({"prompt": style.kind}, ([style.asked(g)] for chunk in iterate.groups(study, split) for g in chunk))
