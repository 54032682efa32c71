"""Answers as they were given: by whom, when, how fast, on how much text, and saying what. Pure functions."""

from dataclasses import dataclass

import numpy as np

from annotate.analytics.comparisons import Flags, Floats, Ints, rows_of

# Nobody reads faster than about a thousand words a minute.
CHARACTERS_A_SECOND = 100.0
HASH = 1_000_003


@dataclass(frozen=True)
class Given:
    """Judgements, arrays (J,). rater: ids; at: seconds since 1970; seconds: spent, NaN where unknown; length:
    characters on the screen; said: a number that stands for the answer by place (first better, all equal, a score of
    3), the same for the same answer; placed: whether the places are known, without which `said` tells nothing."""

    rater: Ints
    at: Floats
    seconds: Floats
    length: Floats
    answer: Ints
    placed: Flags

    def __len__(self) -> int:
        return len(self.rater)

    def __getitem__(self, chosen: Flags) -> "Given":
        return rows_of(self, chosen)

    @property
    def timed(self) -> Flags:
        return np.isfinite(self.seconds)

    @property
    def fast(self) -> Flags:
        """Given before the texts could be read."""
        return self.timed & (self.seconds < self.length / CHARACTERS_A_SECOND)

    @property
    def shares(self) -> Floats:
        """How often each answer is given, by `said`, where places are known."""
        answer = self.answer[self.placed]
        return np.bincount(answer, minlength=int(self.answer.max(initial=-1)) + 1) / max(len(answer), 1)


def given(rater: Ints, place: Ints, at: Floats, seconds: Floats, value: Floats, length: Floats, known: Ints) -> Given:
    """Judgements from rows of one response shown each, those of one judgement together and in the order shown; value:
    its rank or score, NaN for neither; length: its characters; known: 1 where its place is known."""
    starts = np.flatnonzero(place == 0)
    number = np.cumsum(place == 0) - 1
    codes = np.unique(value, return_inverse=True)[1] + 1
    # Two answers are the same where they say the same of every place; integers may run over.
    word = np.zeros(len(starts), np.int64)
    for of_place in range(int(place.max(initial=-1)) + 1):
        here = place == of_place
        word[number[here]] = word[number[here]] * HASH + codes[here]
    answer = np.unique(word, return_inverse=True)[1]
    lengths = np.bincount(number, length, len(starts))
    return Given(rater[starts], at[starts], seconds[starts], lengths, answer, known[starts] == 1)
