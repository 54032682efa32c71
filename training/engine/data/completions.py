"""What a policy has written, as reward terms are given it."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.engine.data.observations import Item


@dataclass(frozen=True)
class Completions:
    """N texts to judge, with what the terms need of them."""

    prompts: Sequence[str]
    texts: Sequence[str]
    references: Sequence[str]  # the known good answers, "" where there is none
    lengths: Sequence[int]  # tokens
    log_reference: Sequence[float]  # mean log-probability a token under the reference policy, nats

    @property
    def items(self) -> list[Item]:
        return list(zip(self.prompts, self.texts, strict=True))
