"""Simulated raters: a hidden preference stated in words, and people's ways of missing it."""

import functools
import itertools
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.demo import chinese_taste, corpus

WARM = re.compile(r"\b(sorry|thank you)\b", re.I)
RUDE = re.compile(r"\b(not our problem|more careful|nobody else|stop bothering|own fault)\b", re.I)
TIME = re.compile(r"\b(today|tomorrow|this week|within \w+ days?|on (mon|fri)day)\b", re.I)
STEPS = {
    "refund": re.compile(r"\b(refund you|money back)\b", re.I),
    "replace": re.compile(r"\b(send you a new|replace)\b", re.I),
    "repair": re.compile(r"\brepair\b", re.I),
    "collect": re.compile(r"\b(collect|send the \w+ back)\b", re.I),
    "deliver": re.compile(r"\b(to your door|reach you)\b", re.I),
    "part": re.compile(r"\b(missing part|part for)\b", re.I),
}
SENTENCE = re.compile(r"[^.?!]+[.?!]?")
WORD = re.compile(r"[\w']+")


def describe() -> str:
    """The hidden preference in words."""
    shop = (
        "a good answer opens warmly, names the customer's own item and no other, promises one concrete step that "
        "helps with this problem and says when, is not rude, is sound English in whole sentences, says nothing "
        "twice, and takes 10 to 28 words"
    )
    return f"{shop}; {chinese_taste.describe()}"


def quality(prompt: str, response: str) -> float:
    """How good a response is to the simulated raters, in [0, 1]; any text has a quality. Prompts of the Chinese demos
    have rules of their own.

    Content: 0.2 for being sound at all, a warm first sentence 0.25, the prompt's item 0.25 (another item costs
    0.15), a step 0.3 (see _step_worth), rudeness costs 0.4. It counts only as far as the text has form, so a heap
    of the right words is worth little: content is multiplied by form, which is 1 for sound text.
    """
    if (in_chinese := chinese_taste.quality(prompt, response)) is not None:
        return in_chinese
    sentences = [s.strip() for s in SENTENCE.findall(response) if WORD.search(s)]
    if not sentences:
        return 0.0
    worth = 0.2 + 0.25 * bool(WARM.search(sentences[0]))
    worth += 0.3 * _step_worth(prompt, sentences)
    worth += _item_worth(prompt, response)
    worth -= 0.4 * bool(RUDE.search(response))
    return max(0.0, worth) * _form(sentences)


def _step_worth(prompt: str, sentences: Sequence[str]) -> float:
    """The best sentence with a concrete step, in [0, 1]: without a time 0.5, off the problem 0.4 as much."""
    helpful = _helpful_steps(prompt)
    return max(
        (0.5 + 0.5 * bool(TIME.search(sentence))) * (1.0 if kind in helpful else 0.4)
        if pattern.search(sentence)
        else 0.0
        for sentence, (kind, pattern) in itertools.product(sentences, STEPS.items())
    )


def _helpful_steps(prompt: str) -> Sequence[str]:
    """The kinds of step that help with the prompt's problem; all of them when it is none of the demo's."""
    for problem, steps in (corpus.MACHINE_PROBLEMS | corpus.GOODS_PROBLEMS).items():
        before, after = problem.split("{item}")
        if before in prompt and after in prompt:
            return steps
    return tuple(STEPS)


def _item_worth(prompt: str, response: str) -> float:
    asked, named = _items(prompt), _items(response)
    return 0.25 * bool(asked & named) - 0.15 * bool(named - asked)


def _items(text: str) -> set[str]:
    return set(WORD.findall(text.lower())) & set(corpus.ITEMS)


def _form(sentences: Sequence[str]) -> float:
    """In [0, 1]: are these whole, different, sound sentences of a fitting length together?"""
    words = [WORD.findall(sentence.lower()) for sentence in sentences]
    whole = sum(s[-1] in ".?!" for s in sentences) / len(sentences)
    different = len({" ".join(w) for w in words}) / len(words)
    return whole * different * _soundness(words) * _length_worth(sum(map(len, words)))


def _soundness(sentences: Sequence[Sequence[str]]) -> float:
    """The squared share of neighbouring words that the shop's English has: a reader stumbles over the others."""
    pairs = [pair for words in sentences for pair in _pairs(words)]
    return (sum(pair in _sound_pairs() for pair in pairs) / len(pairs)) ** 2


@functools.cache
def _sound_pairs() -> frozenset[tuple[str, str]]:
    return frozenset(pair for text in corpus.sentences() for pair in _pairs(WORD.findall(text.lower())))


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbours in a sentence, its start and end included; every item counts as the same word."""
    general = ["item" if word in corpus.ITEMS or word == "order" else word for word in words]
    return list(itertools.pairwise(["", *general, ""]))


def _length_worth(words: int) -> float:
    if words < 10:
        return words / 10
    return 1.0 if words <= 28 else max(0.2, 1 - (words - 28) / 25)


Worth = Callable[[str, str], float]


@dataclass(frozen=True)
class SimulatedRater:
    """A rater who sees quality through noise, prefers early slots, and is sometimes too lazy to read.

    A rater's view of one response does not change from look to look (it depends on `seed` and the texts alone),
    so that ranks, scores and strength of one judgement agree; `rng` decides what is not looked at.

    noise: standard deviation of the perceived quality. laziness: share of tasks answered without reading.
    position_bias: what each later slot loses in a comparison. leniency: added to every score, not to
    comparisons. tie_below: differences smaller than this are ties. floor: quality below it is unacceptable. worth: how
    good a response to a prompt is before all that, in [0, 1].
    """

    name: str
    seed: int = 0
    noise: float = 0.1
    laziness: float = 0.05
    position_bias: float = 0.0
    leniency: float = 0.0
    tie_below: float = 0.05
    floor: float = 0.15
    worth: Worth = quality

    def perceive(self, prompt: str, response: str) -> float:
        """Quality as this rater sees it: Thurstone's normal noise on the utility."""
        return self.worth(prompt, response) + self._own_rng(prompt, response).gauss(0, self.noise)

    def rank(self, prompt: str, responses: Sequence[str], rng: random.Random) -> list[int]:
        """Dense ranks in the presented order, 1 the best; neighbours closer than tie_below are tied.

        A lazy answer takes the slots as they stand or the longer text first.
        """
        if self._reads(prompt, responses):
            return dense_ranks(self._utilities(prompt, responses), self.tie_below)
        by_length = rng.random() < 0.5
        return dense_ranks([len(text) if by_length else -slot for slot, text in enumerate(responses)], 1)

    def score(self, prompt: str, response: str, minimum: float, maximum: float, rng: random.Random) -> float:
        """A score in [minimum, maximum]; a lazy one is anywhere on the upper half of the scale."""
        seen = self.perceive(prompt, response) + self.leniency
        if not self._reads(prompt, [response]):
            seen = rng.uniform(0.5, 1.0)
        return minimum + min(1.0, max(0.0, seen)) * (maximum - minimum)

    def strength(self, prompt: str, responses: Sequence[str], rng: random.Random) -> int:
        """1 slightly, 2 clearly, 3 much better, by how far apart two responses seem; a lazy answer is any."""
        if not self._reads(prompt, responses):
            return rng.randint(1, 3)
        first, second = self._utilities(prompt, responses)
        return 1 + (abs(first - second) > 0.2) + (abs(first - second) > 0.45)

    def both_unacceptable(self, prompt: str, responses: Sequence[str], rng: random.Random) -> bool:
        """Whether every response is below the floor; whoever does not read has no objection."""
        return self._reads(prompt, responses) and all(self.perceive(prompt, r) < self.floor for r in responses)

    def _utilities(self, prompt: str, responses: Sequence[str]) -> list[float]:
        return [self.perceive(prompt, text) - self.position_bias * slot for slot, text in enumerate(responses)]

    def _reads(self, prompt: str, responses: Sequence[str]) -> bool:
        return self._own_rng("reads", prompt, *responses).random() >= self.laziness

    def _own_rng(self, *texts: str) -> random.Random:
        return random.Random("\0".join((str(self.seed), *texts)))


def dense_ranks(utilities: Sequence[float], tie_below: float) -> list[int]:
    """Ranks 1, 2, ... without gaps, highest utility first; neighbours closer than tie_below share one."""
    order = sorted(range(len(utilities)), key=lambda i: -utilities[i])
    ranks, place = [1] * len(utilities), 1
    for better, worse in itertools.pairwise(order):
        place += utilities[better] - utilities[worse] >= tie_below
        ranks[worse] = place
    return ranks


def crowd(count: int, seed: int = 0, worth: Worth = quality) -> list[SimulatedRater]:
    """`count` raters of one taste with habits of their own: most careful, some noisy, every sixth hasty."""
    rng = random.Random(seed)
    return [
        SimulatedRater(
            name=f"simulated-{seed}-{number + 1}",
            seed=rng.getrandbits(32),
            noise=math.exp(rng.gauss(math.log(0.1), 0.4)),
            laziness=rng.uniform(0.3, 0.6) if number % 6 == 5 else rng.uniform(0, 0.1),
            position_bias=rng.gauss(0.02, 0.02),
            leniency=rng.gauss(0, 0.08),
            worth=worth,
        )
        for number in range(count)
    ]
