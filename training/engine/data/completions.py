"""A policy's completions, the input of reward terms."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.engine.data.observations import Item


@dataclass(frozen=True)
class Completions:
    """N completions with everything that reward terms need."""

    prompts: Sequence[str]
    texts: Sequence[str]
    references: Sequence[str]  # reference answers, "" where there is none
    lengths: Sequence[int]  # tokens
    log_reference: Sequence[float]  # mean log-probability per token under the reference policy, nats

    @property
    def items(self) -> list[Item]:
        return list(zip(self.prompts, self.texts, strict=True))
