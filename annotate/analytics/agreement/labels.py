"""How raters agree on the labels of prompts, and with known ones, class by class."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from annotate.analytics.agreement.coefficients import Measure
from annotate.analytics.agreement.units import Units
from annotate.analytics.comparisons import Floats, Ints
from annotate.models.judgement_queries import JudgementQuerySet
from core.statistics.bootstrap import Clusters, Estimate, proportion, share

MAX_CONFUSIONS = 5


@dataclass(frozen=True)
class Labelled:
    """names: L labels, by frequency; units: counts (P, L) of P prompts; label, prompt, confidence (V,): of V votes, the
    confidence NaN where none was asked for."""

    names: list[str]
    units: Units
    label: Ints
    prompt: Ints
    confidence: Floats

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters(self.units.cluster)


def labelled(votes: JudgementQuerySet) -> Labelled:
    """The labels that raters chose. A rater who met a prompt in several tasks counts once, with the newest answer."""
    rows = votes.exclude(label="").order_by("id").values_list("task__prompt", "rater", "label", "confidence")
    newest = {(prompt, rater): (label, sure) for prompt, rater, label, sure in rows.iterator(chunk_size=5000)}
    given = [label for label, _ in newest.values()]
    names = sorted(set(given), key=lambda name: (-given.count(name), name))
    label = np.array([names.index(name) for name in given], np.int64)
    prompts, row = np.unique(np.array([prompt for prompt, _ in newest], np.int64), return_inverse=True)
    counts = np.zeros((len(prompts), max(len(names), 1)), np.int64)
    np.add.at(counts, (row, label), 1)
    units = Units(counts, prompts, np.zeros(len(prompts), np.int64), np.arange(len(names), dtype=np.float64))
    sure = np.array([np.nan if sure is None else sure for _, sure in newest.values()], np.float64)
    return Labelled(names, units, label, prompts[row], sure)


@dataclass(frozen=True)
class Checked:
    """Answers to tasks whose label is known (A,): the known label, whether it was chosen, the rater."""

    known: list[str]
    right: Floats
    rater: Ints

    @property
    def names(self) -> list[str]:
        return sorted(set(self.known))

    def of(self, name: str) -> Estimate:
        """The share of answers with the known label `name` to the tasks that have it, drawn by rater."""
        chosen = np.array([known == name for known in self.known], np.float64)
        return share(Clusters(self.rater), chosen * self.right, chosen)


def checked(answers: JudgementQuerySet) -> Checked:
    """answers: to tasks with a known answer; those without a known label are left out."""
    found = answers.values_list("task__known_answer__label", "label", "rater")
    rows = [row for row in found if row[0]]
    known, given, raters = zip(*rows, strict=True) if rows else ((), (), ())
    right = np.array([a == b for a, b in zip(known, given, strict=True)], np.float64)
    return Checked(list(known), right, np.array(raters, np.int64))


def specific_agreement(units: Units, place: int) -> Measure:
    """Of the raters paired with one who chose this label, the share who chose it too: Σ n(n - 1) / Σ n(N - 1) over
    units with n of N votes for it (Cicchetti & Feinstein 1990, for many raters)."""
    total, chosen = units.counts.sum(axis=1), units.counts[:, place]
    paired = chosen * (total - 1)
    values = np.stack([chosen * (chosen - 1), paired], axis=1).astype(np.float64)
    return Measure(proportion, values, np.where(total > 1, chosen, 0))


def confusions(found: Labelled) -> list[tuple[str, str, int]]:
    """The labels that two raters gave to one prompt most often instead of one and the same: (one, other, pairs)."""
    pairs: dict[tuple[int, int], int] = defaultdict(int)
    for one in range(len(found.names)):
        for other in range(one + 1, len(found.names)):
            pairs[one, other] = int((found.units.counts[:, one] * found.units.counts[:, other]).sum())
    ordered = sorted((n, pair) for pair, n in pairs.items() if n)[::-1]
    return [(found.names[one], found.names[other], n) for n, (one, other) in ordered[:MAX_CONFUSIONS]]
