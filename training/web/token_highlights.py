"""Texts whose words are marked by how much they moved a number, for pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Word:
    """A piece of a response: strength 1 to 3 by its part of the reward, 0 for next to nothing."""

    text: str
    part: float
    strength: int

    @property
    def sign(self) -> str:
        return "up" if self.part > 0 else "down"


@dataclass(frozen=True)
class Explained:
    """A response: its words, those that raised and those that lowered its reward most, and the calibrated chance that
    a rater prefers it over each of the others shown."""

    letter: str
    response: Row
    words: list[Word]
    raised: list[tuple[str, float]]
    lowered: list[tuple[str, float]]
    chances: list[tuple[str, float]]


def explained(prompt: Row, probability: Any) -> list[Explained]:
    """The responses of an explained prompt; probability: of two rewards the chance that the first is preferred."""
    rows = prompt["responses"]
    strongest = max((abs(part) for row in rows for _text, part in row["words"]), default=0.0)
    letters = [chr(ord("A") + n) for n in range(len(rows))]
    return [
        Explained(
            letter,
            row,
            [Word(text, part, _strength(part, strongest)) for text, part in row["words"]],
            _most(row["words"], 1),
            _most(row["words"], -1),
            [
                (other, probability(row["reward"], o["reward"]))
                for other, o in zip(letters, rows, strict=True)
                if o is not row
            ],
        )
        for letter, row in zip(letters, rows, strict=True)
    ]


@dataclass(frozen=True)
class Side:
    """A text before or after tuning: its tokens marked by how much likelier tuning made them, and those that moved
    most. end: how much likelier its end became, in nats."""

    words: list[Word]
    likelier: list[tuple[str, float]]
    less_likely: list[tuple[str, float]]
    end: float | None


# Nats from which a token is marked: 1.6, 2.7 and 7.4 times as likely.
NATS = (0.5, 1.0, 2.0)
SHOWN_LETTERS = 900


def moved(pieces: Sequence[Sequence[Any]]) -> Side:
    """A text's pieces of training.engine.rl.token_changes, for a page."""
    words, letters = [], 0
    for text, part in pieces:
        if letters < SHOWN_LETTERS:
            word = text.lstrip()
            # The space that many tokens begin with is no part of the word to underline.
            if space := text[: len(text) - len(word)]:
                words.append(Word(space, 0.0, 0))
            words.append(Word(word, part, sum(abs(part) >= nats for nats in NATS)))
        letters += len(text)
    ends = [part for text, part in pieces[-1:] if not text]
    written = [(text.strip(), part) for text, part in pieces if text.strip()]
    return Side(words, _most(written, 1), _most(written, -1), ends[0] if ends else None)


def _strength(part: float, strongest: float) -> int:
    return min(3, int(4 * abs(part) / strongest)) if strongest else 0


def _most(words: Sequence[Sequence[Any]], sign: int, count: int = 5) -> list[tuple[str, float]]:
    """The words that moved the reward most in one direction, added up over their occurrences."""
    sums: dict[str, float] = {}
    for text, part in words:
        sums[text.lower()] = sums.get(text.lower(), 0.0) + part
    moved = sorted(((text, part) for text, part in sums.items() if part * sign >= 0.005), key=lambda row: -abs(row[1]))
    return moved[:count]
