"""What raters said of two responses, as arrays: the form in which statistics read a study. Pure functions."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What an array holds, for the reader; numpy's own types lose it at every second function (bincount, mean, where).
Ints = NDArray[Any]
Floats = NDArray[Any]
Flags = NDArray[Any]


@dataclass(frozen=True)
class Answers:
    """Places of responses in answers, arrays (A,): those of one judgement stand together, in the order shown.

    judgement, task, prompt, rater, response: ids. place: 0 is the first shown. size: responses shown together.
    value: the higher the better (a score, or a rank with its sign turned). at: seconds since 1970. order_known:
    1 where the order shown is known, 0 where the source of an import does not say.
    """

    judgement: Ints
    task: Ints
    prompt: Ints
    rater: Ints
    response: Ints
    place: Ints
    size: Ints
    value: Floats
    at: Floats
    order_known: Ints

    def __len__(self) -> int:
        return len(self.judgement)

    def __getitem__(self, chosen: Any) -> "Answers":
        return rows_of(self, chosen)


@dataclass(frozen=True)
class Comparisons:
    """One rater's word on two responses, arrays (C,).

    judgement, task, prompt, rater: ids. first, second: response ids; first was shown before second where `placed`
    says so: not where size is 1, as the two were scored apart, nor where order_known is 0. outcome: 1 first is better,
    0 second, 0.5 a tie.
    size: responses judged together; a ranking of K gives K(K-1)/2 comparisons that weigh 2/K each.
    at: seconds since 1970. seconds: spent on the judgement, NaN where unknown.
    """

    judgement: Ints
    task: Ints
    prompt: Ints
    rater: Ints
    first: Ints
    second: Ints
    outcome: Floats
    size: Ints
    at: Floats
    seconds: Floats
    order_known: Ints

    def __len__(self) -> int:
        return len(self.judgement)

    def __getitem__(self, chosen: Any) -> "Comparisons":
        return rows_of(self, chosen)

    @property
    def weight(self) -> Floats:
        return 2 / np.maximum(self.size, 2)

    @property
    def placed(self) -> Flags:
        """Whether it is known that `first` was shown before `second`."""
        return (self.size > 1) & (self.order_known == 1)

    @property
    def decided(self) -> Flags:
        return self.outcome != 0.5

    @property
    def cluster(self) -> Ints:
        """What was drawn on its own: the task; the prompt, as a negative number, where responses were scored apart."""
        return np.where(self.size > 1, self.task, -self.prompt)

    @property
    def pair(self) -> tuple[Ints, Ints, Floats]:
        """The two responses with the smaller id as a: (a, b, outcome for a)."""
        swapped = self.first > self.second
        a, b = np.where(swapped, self.second, self.first), np.where(swapped, self.first, self.second)
        return a, b, np.where(swapped, 1 - self.outcome, self.outcome)


def rows_of(of: Any, chosen: Any) -> Any:
    """The same columns, of the chosen rows only."""
    return replace(of, **{field.name: getattr(of, field.name)[chosen] for field in fields(of)})


def joined(*parts: Comparisons) -> Comparisons:
    names = [field.name for field in fields(Comparisons)]
    return Comparisons(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def compared(answers: Answers) -> Comparisons:
    """The comparisons that scores imply: within one judgement, or where responses were scored one by one, between
    one rater's judgements of the same prompt."""
    together = np.where(answers.size > 1, answers.judgement, -1)
    apart = np.where(answers.size > 1, -1, answers.prompt)
    order = np.lexsort((answers.place, answers.rater, apart, together))
    keys = np.stack([together, apart, np.where(answers.size > 1, -1, answers.rater)])[:, order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    starts = np.flatnonzero(fresh)
    sizes = np.diff(np.append(starts, len(order)))
    found = [_of_size(answers, order, starts[sizes == k], int(k)) for k in np.unique(sizes) if k > 1]
    return joined(*found) if found else joined(_of_size(answers, order, starts[:0], 2))


def _of_size(answers: Answers, order: Ints, starts: Ints, k: int) -> Comparisons:
    """The pairs of groups of k answers that begin at `starts` in `order`."""
    i, j = np.triu_indices(k, 1)
    first, second = order[starts[:, None] + i].ravel(), order[starts[:, None] + j].ravel()
    difference = answers.value[first] - answers.value[second]
    return Comparisons(
        judgement=answers.judgement[first],
        task=answers.task[first],
        prompt=answers.prompt[first],
        rater=answers.rater[first],
        first=answers.response[first],
        second=answers.response[second],
        outcome=(np.sign(difference) + 1) / 2,
        size=answers.size[first],
        at=answers.at[first],
        seconds=np.full(len(first), np.nan),
        order_known=answers.order_known[first],
    )
