"""Simulated raters: a hidden preference stated in words, and people's ways of missing it."""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from training.demo.corpus import ITEMS

WARM = re.compile(r"\b(sorry|thank you|glad|happy to)\b", re.I)
RUDE = re.compile(r"\b(not our problem|more careful|nobody else|stop bothering)\b", re.I)
ACT = re.compile(r"\b(send|refund|money back|collect|repair|replace)\b", re.I)
WHEN = re.compile(r"\b(today|tomorrow|this week|within \w+ days?|on monday)\b", re.I)
SENTENCE = re.compile(r"[^.?!]+[.?!]?")


def describe() -> str:
    """The hidden preference in words."""
    return (
        "a good answer opens warmly, names the customer's own item and no other, promises one concrete step and "
        "says when, is not rude, does not repeat itself, ends its sentences, and takes 10 to 32 words"
    )


def quality(prompt: str, response: str) -> float:
    """How good a response is to the simulated raters, in [0, 1]; any text has a quality.

    A warm first sentence 0.25, the prompt's item 0.2 (another item costs 0.1), a step and its time in one
    sentence 0.3, form 0.25 (whole sentences, nothing said twice, 10 to 32 words). Rudeness costs 0.35. All of
    it counts only as far as the text has form, so a heap of the right words is worth little.
    """
    sentences = [s.strip() for s in SENTENCE.findall(response) if s.strip()]
    if not sentences:
        return 0.0
    form = _form(sentences)
    worth = 0.25 * bool(WARM.search(sentences[0]))
    worth += 0.3 * any(ACT.search(s) and WHEN.search(s) for s in sentences)
    worth += _item_worth(prompt, response)
    worth -= 0.35 * bool(RUDE.search(response))
    return min(1.0, max(0.0, form * worth + 0.25 * form))


def _item_worth(prompt: str, response: str) -> float:
    asked, named = _items(prompt), _items(response)
    return 0.2 * bool(asked & named) - 0.1 * bool(named - asked)


def _items(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower())) & set(ITEMS)


def _form(sentences: Sequence[str]) -> float:
    """In [0, 1]: are these whole, different sentences of a fitting length?"""
    words = [re.findall(r"[\w']+", sentence.lower()) for sentence in sentences]
    whole = sum(s[-1] in ".?!" and 1 <= len(w) <= 16 for s, w in zip(sentences, words, strict=True)) / len(sentences)
    different = len({" ".join(w) for w in words}) / len(words)
    flat = [word for sentence in words for word in sentence]
    variety = min(1.0, len(set(flat)) / (0.6 * len(flat))) if flat else 0.0
    return whole * different * variety * _length_worth(len(flat))


def _length_worth(words: int) -> float:
    if words < 10:
        return words / 10
    return 1.0 if words <= 32 else max(0.2, 1 - (words - 32) / 30)


@dataclass(frozen=True)
class SimulatedRater:
    """A rater who sees quality through noise, and is sometimes too lazy to read.

    noise: standard deviation of what the rater perceives. laziness: share of answers given without reading.
    tie_below: perceived differences below this are a tie.
    """

    name: str
    noise: float = 0.1
    laziness: float = 0.05
    tie_below: float = 0.05

    def perceive(self, prompt: str, response: str, rng: random.Random) -> float:
        if rng.random() < self.laziness:
            return rng.random()
        return quality(prompt, response) + rng.gauss(0, self.noise)

    def rank(self, prompt: str, responses: Sequence[str], rng: random.Random) -> list[int]:
        """Dense ranks in the responses' order, 1 the best; neighbours closer than tie_below are tied."""
        seen = [self.perceive(prompt, response, rng) for response in responses]
        order = sorted(range(len(seen)), key=lambda i: -seen[i])
        ranks, place = [0] * len(seen), 1
        for previous, current in zip([order[0], *order], order, strict=False):
            place += seen[previous] - seen[current] >= self.tie_below
            ranks[current] = place
        return ranks

    def score(self, prompt: str, response: str, minimum: float, maximum: float, rng: random.Random) -> float:
        seen = min(1.0, max(0.0, self.perceive(prompt, response, rng)))
        return minimum + seen * (maximum - minimum)

    def strength(self, prompt: str, responses: Sequence[str], rng: random.Random) -> int:
        """1 slightly, 2 clearly, 3 much better, by how far apart two responses seem."""
        difference = abs(self.perceive(prompt, responses[0], rng) - self.perceive(prompt, responses[1], rng))
        return 1 + (difference > 0.2) + (difference > 0.45)

    def both_unacceptable(self, prompt: str, responses: Sequence[str], rng: random.Random) -> bool:
        return all(self.perceive(prompt, response, rng) < 0.15 for response in responses)


def crowd(count: int, seed: int = 0) -> list[SimulatedRater]:
    """`count` raters with habits of their own: most careful, some noisy, a few lazy."""
    rng = random.Random(seed)
    return [
        SimulatedRater(
            name=f"simulated-{seed}-{number + 1}",
            noise=math.exp(rng.gauss(math.log(0.1), 0.4)),
            laziness=min(0.5, rng.expovariate(1 / 0.06)),
        )
        for number in range(count)
    ]
