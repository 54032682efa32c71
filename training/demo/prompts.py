from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """A demo's prompt. reference: a known good answer. context: what raters check against. facts: what the grammar's
    answers are made of."""

    text: str
    reference: str = ""
    context: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
