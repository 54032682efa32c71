"""The demos of study templates: for each case a grammar that asks and answers, well and badly.

As in the shop's demo, what raters see is sampled from a model that was pretrained on the grammar's texts, never the
grammar's own answers.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from training.demo import chinese, classification, questions, service, translation, writing
from training.demo.prompts import Asked

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
# The same, asked and answered in Chinese.
CHINESE = {
    "writing": Case(chinese.ask_writing, chinese.answer_writing),
    "service": Case(chinese.ask_service, chinese.answer_service),
    "translation": Case(chinese.ask_translation, chinese.answer_translation),
    "questions": Case(chinese.ask_questions, chinese.answer_questions),
    "classification": Case(chinese.ask_classification, chinese.answer_classification),
}
LANGUAGES = ("en", "zh")
# By the name of a grammar.
GRAMMARS = CASES | {f"{key}-zh": case for key, case in CHINESE.items()}


def grammar(template: str, language: str) -> str:
    """The name of the grammar of a template's demo in a language; the English one where it has no other."""
    name = f"{template}-{language}"
    return name if name in GRAMMARS else template


def documents_in_chinese(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` documents of all Chinese grammars in turns."""
    each = (documents(f"{key}-zh", -(-count // len(CHINESE)), seed) for key in CHINESE)
    return list(itertools.chain.from_iterable(zip(*each, strict=True)))[:count]


def prompts(key: str, count: int, seed: int = 0) -> list[Asked]:
    """`count` prompts of a grammar, with different texts. Raises ValueError where the grammar has no more of them."""
    prompts_by_text: dict[str, Asked] = {}
    rng, idle = random.Random(seed), 0
    while len(prompts_by_text) < count:
        asked = GRAMMARS[key].ask(rng)
        idle = idle + 1 if asked.text in prompts_by_text else 0
        if idle > PATIENCE:
            raise ValueError(f"the demo of {key} has about {len(prompts_by_text)} prompts, not {count}")
        prompts_by_text[asked.text] = asked
    return list(prompts_by_text.values())


def documents(key: str, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` (prompt, response) documents of a grammar to pretrain on."""
    rng, case = random.Random(f"{key} {seed}"), GRAMMARS[key]
    asked = [case.ask(rng) for _ in range(count)]
    return [(one.text, case.answer(one, rng)) for one in asked]
