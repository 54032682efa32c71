"""What a good response is in the Chinese demos: for each of their cases the rules that simulated raters go by."""

import functools
import itertools
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from training.demo import chinese
from training.demo.prompts import Asked

Facts = Mapping[str, str]
SENTENCE = re.compile(r"[^。！？\n]+[。！？]?")
WORD = re.compile(r"\w")
# How many answers of a grammar hold every neighbourhood of characters that it has.
ENOUGH = 3000

WARM = re.compile("抱歉|谢谢|给您添麻烦")
DECIDED = {"recent": re.compile("换|退款"), "old": re.compile("免费维修|免费送修")}
WRONG = re.compile("减十元|没有办法|两个新的|自己会好")
DEAF = re.compile("什么时候买|哪一件|有什么东西坏了")
CLAIM = re.compile(r"(\w+?)有(\w+)")


def describe() -> str:
    """The rules in words."""
    return (
        "in the Chinese demos: a reply keeps to the shop's policy, opens warmly, asks nothing that was said and names "
        "the customer's item; a note has every fact right, a greeting and an end; a translation says what the source "
        "says, in the order of Chinese; an answer is right, short and, where the text is silent, says so; a label is "
        "that of the text; and all but labels are whole, different sentences of sound Chinese"
    )


def quality(prompt: str, response: str) -> float | None:
    """How good a response is to the simulated raters, in [0, 1]; None for a prompt of no Chinese demo.

    As in the shop's demo, what is said counts only as far as the text has form: content is multiplied by form.
    """
    for taste in TASTES:
        if facts := taste.facts_of(prompt):
            form = _form(response, taste.answer) if taste.answer else 1.0
            return min(1.0, max(0.0, taste.worth(facts, response))) * form
    return None


@dataclass(frozen=True)
class Taste:
    """facts_of reads what a prompt of the case tells, empty for any other prompt. worth is that of the content. answer
    draws what the case's grammar says, the measure of sound Chinese; None where form does not count."""

    facts_of: Callable[[str], Facts]
    worth: Callable[[Facts, str], float]
    answer: Callable[[Asked, random.Random], str] | None
    ask: Callable[[random.Random], Asked]


# --- what a prompt tells ------------------------------------------------------------------------------------------


def _reader(pattern: str) -> Callable[[str], Facts]:
    form = re.compile(pattern)

    def facts_of(prompt: str) -> Facts:
        found = form.fullmatch(prompt.strip())
        return found.groupdict() if found else {}

    return facts_of


def _among(name: str, words: Iterable[str]) -> str:
    return f"(?P<{name}>{'|'.join(map(re.escape, words))})"


def _in_chinese(prompt: str) -> Facts:
    """The parts of an English sentence in Chinese."""
    parts = {"who": chinese.WHO, "when": chinese.WHEN, "where": chinese.WHERE, "why": chinese.WHY}
    return {name: parts[name][word] for name, word in SOURCE(prompt).items()}


def _asked_of(prompt: str) -> Facts:
    """Who has the thing that is asked for: "" where the text is silent."""
    text, _gap, question = prompt.strip().partition("\n\n")
    found = re.fullmatch(r"谁有(\w+)？", question)
    owners = {thing: name for name, thing in CLAIM.findall(text)}
    return {"thing": found[1], "owner": owners.get(found[1], "")} if found and owners else {}


def _label_of(prompt: str) -> Facts:
    good, bad = (any(label in prompt for label in many) for many in (chinese.GOOD, chinese.BAD))
    positive, negative, mixed = chinese.LABELS
    fits = prompt.startswith(chinese.STARTS) and (good or bad)
    return {"label": mixed if good and bad else positive if good else negative} if fits else {}


def _bought(prompt: str) -> Facts:
    """The item that a customer speaks of, and whether it was bought within the policy's thirty days."""
    items = [item for item in chinese.ITEMS if item in prompt]
    last = prompt.strip().rpartition("客户：")[2]
    ages = [age for age, words in (("recent", chinese.RECENT), ("old", chinese.OLD)) if last.startswith(words)]
    return {"item": items[0], "age": ages[0]} if items and ages else {}


NOTE = _reader(
    f"请给{_among('place', chinese.PLACES)}的来宾写一则通知：{_among('time', chinese.HOURS)}开门，"
    f"{_among('day', chinese.DAYS)}闭馆，{_among('extra', chinese.EXTRAS)}。"
)
SOURCE = _reader(
    f"{_among('who', chinese.WHO)} arrives {_among('where', chinese.WHERE)} {_among('when', chinese.WHEN)}, "
    rf"{_among('why', chinese.WHY)}\."
)


# --- what is said, each worth at most 1 ---------------------------------------------------------------------------


def _reply(facts: Facts, response: str) -> float:
    """What the policy grants 0.5, if nothing else is granted; warmth first 0.25, the item 0.15 (another costs half)."""
    granted = {age for age, words in DECIDED.items() if words.search(response)}
    worth = 0.1 + 0.5 * (granted == {facts["age"]}) + 0.25 * bool(WARM.search(_sentences(response)[0]))
    worth -= 0.35 * bool(WRONG.search(response)) + 0.2 * bool(DEAF.search(response))
    return worth + 0.15 * _named(facts["item"], chinese.ITEMS, response)


def _note(facts: Facts, response: str) -> float:
    """Each fact 0.16, a wrong one costs half; a friendly beginning 0.18, a rude one costs 0.3; a friendly end 0.1."""
    friendly, _plain, rude = ([text.format(**facts) for text in kind] for kind in chinese.GREETINGS)
    worth = 0.24 + 0.18 * response.startswith(tuple(friendly)) - 0.3 * response.startswith(tuple(rude))
    worth += 0.1 * response.endswith(tuple(text.format(**facts) for text in chinese.REGARDS))
    known = {"time": chinese.HOURS, "day": chinese.DAYS, "extra": chinese.EXTRAS}
    worth += sum(0.16 * _named(facts[name], others, response) for name, others in known.items())
    return worth - 0.1 * (_named(facts["place"], chinese.PLACES, response) < 0)


def _translation(facts: Facts, response: str) -> float:
    """Each part 0.15, a wrong one costs half; 0.16 for the order of Chinese."""
    parts = {"who": chinese.WHO, "when": chinese.WHEN, "where": chinese.WHERE, "why": chinese.WHY}
    worth = 0.24 + sum(0.15 * _named(facts[name], parts[name].values(), response) for name in parts)
    return worth + 0.16 * bool(re.search(r"到(?!达)\w+，", response))


def _answer(facts: Facts, response: str) -> float:
    """Right 0.9; that the text does not say, where it does, 0.35; a guess 0.15; wrong or both 0.05; brief 0.1."""
    silent = chinese.SILENT.rstrip("。") in response
    named = {name for name, thing in CLAIM.findall(response) if thing == facts["thing"]}
    brief = 0.1 * (len(_sentences(response)) == 1)
    if named and (silent or named != {facts["owner"]}):
        return 0.05
    if named or (silent and not facts["owner"]):
        return 0.9 + brief
    return (0.35 if silent else 0.15) + brief


def _label(facts: Facts, response: str) -> float:
    """The text's own label 1; half of it, or a whole where the text is mixed, 0.4."""
    label, mixed = response.strip(), chinese.LABELS[2]
    if label not in chinese.LABELS:
        return 0.0
    return 1.0 if label == facts["label"] else 0.4 * (mixed in (label, facts["label"]))


def _named(right: str, others: Iterable[str], response: str) -> float:
    """1 where the right word stands there and no other, -0.5 where another one does, else 0."""
    left = response.replace(right, "")
    return -0.5 if any(word in left for word in others if word != right) else float(right in response)


# --- how it is said -----------------------------------------------------------------------------------------------


def _sentences(response: str) -> list[str]:
    return [s.strip() for s in SENTENCE.findall(response) if WORD.search(s)] or [""]


def _form(response: str, answer: Callable[[Asked, random.Random], str]) -> float:
    """In [0, 1]: the shares of whole and of different sentences, by that of neighbours that the grammar has, squared:
    a reader stumbles over the others."""
    sentences = _sentences(response)
    whole = sum(s.endswith(("。", "！", "？")) for s in sentences) / len(sentences)
    different = len(set(sentences)) / len(sentences)
    pairs = list(itertools.pairwise(response))
    sound = _sound_pairs(answer)
    return whole * different * (sum(pair in sound for pair in pairs) / max(1, len(pairs))) ** 2


@functools.cache
def _sound_pairs(answer: Callable[[Asked, random.Random], str]) -> frozenset[tuple[str, str]]:
    ask, rng = next(taste.ask for taste in TASTES if taste.answer is answer), random.Random(0)
    return frozenset(pair for _ in range(ENOUGH) for pair in itertools.pairwise(answer(ask(rng), rng)))


TASTES: Sequence[Taste] = (
    Taste(_bought, _reply, chinese.answer_service, chinese.ask_service),
    Taste(NOTE, _note, chinese.answer_writing, chinese.ask_writing),
    Taste(_in_chinese, _translation, chinese.answer_translation, chinese.ask_translation),
    Taste(_asked_of, _answer, chinese.answer_questions, chinese.ask_questions),
    Taste(_label_of, _label, None, chinese.ask_classification),
)
