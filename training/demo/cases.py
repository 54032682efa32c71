"""The demos of study templates: for each case a grammar that asks and answers, well and badly.

As in the shop's demo, what raters see is sampled from a model that was pretrained on the grammar's texts, never the
grammar's own answers.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from training.demo import classification, questions, service, translation, writing
from training.demo.asked import Asked

# How many draws may bring nothing new before a grammar counts as told in full.
PATIENCE = 1000


@dataclass(frozen=True)
class Case:
    """ask draws a prompt; answer draws what somebody may say to it."""

    ask: Callable[[random.Random], Asked]
    answer: Callable[[Asked, random.Random], str]


# By the key of the study template.
CASES = {
    "writing": Case(writing.ask, writing.answer),
    "service": Case(service.ask, service.answer),
    "translation": Case(translation.ask, translation.answer),
    "questions": Case(questions.ask, questions.answer),
    "classification": Case(classification.ask, classification.answer),
}


def prompts(key: str, count: int, seed: int = 0) -> list[Asked]:
    """`count` prompts with different texts. Raises ValueError where the grammar has no more of them."""
    found: dict[str, Asked] = {}
    rng, idle = random.Random(seed), 0
    while len(found) < count:
        asked = CASES[key].ask(rng)
        idle = idle + 1 if asked.text in found else 0
        if idle > PATIENCE:
            raise ValueError(f"the demo of {key} has about {len(found)} prompts, not {count}")
        found[asked.text] = asked
    return list(found.values())


def documents(key: str, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` (prompt, response) documents to pretrain on."""
    rng, case = random.Random(f"{key} {seed}"), CASES[key]
    asked = [case.ask(rng) for _ in range(count)]
    return [(one.text, case.answer(one, rng)) for one in asked]
