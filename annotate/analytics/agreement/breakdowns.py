"""Agreement by part of a study: group of prompts, tag, week. All parts of a table share their draws."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from annotate.analytics.agreement.coefficients import Measure, alpha_nominal, alpha_ordinal, concordances, raw_agreement
from annotate.analytics.agreement.units import units_of_answers, units_of_comparisons
from annotate.analytics.comparisons import Answers, Comparisons, Ints
from annotate.analytics.figure_labels import Line, Table, figure
from annotate.analytics.reports.study_data import MONDAY, WEEK, StudyData
from core.statistics.bootstrap import Clusters, Estimate

MAX_ROWS = 26


@dataclass(frozen=True)
class Parts:
    """A study in parts, which may overlap. names: one a part; comparisons with the number of their part, (C,); answers
    (ranks, or scores by the first criterion; None in a study of pairs) with theirs, (A,)."""

    names: list[str]
    comparisons: Comparisons
    label: Ints
    answers: Answers | None
    answer_label: Ints


def group_table(evidence: StudyData) -> Table:
    """By group of prompts."""
    names, number = evidence.prompt_group
    return table("groups", evidence, _by_prompt(evidence, names[:MAX_ROWS], [(p, k) for p, k in number.items()]))


def audience_table(evidence: StudyData) -> Table:
    """By the tags that prompts ask of their raters; a prompt may stand in several rows."""
    names, prompts = evidence.audience
    pairs = [(prompt, k) for k, of in prompts.items() for prompt in of]
    return table("audience", evidence, _by_prompt(evidence, names[:MAX_ROWS], pairs))


def week_table(evidence: StudyData) -> Table:
    """By the week in which judgements were made: raters are compared within a week. The newest weeks."""
    week, answers = evidence.week, evidence.graded
    weeks = np.unique(week)[-MAX_ROWS:]
    names = [f"{datetime.fromtimestamp(w * WEEK - MONDAY, UTC):%Y-%m-%d}" for w in weeks.tolist()]
    newest = np.isin(week, weeks)
    label = np.searchsorted(weeks, week[newest])
    if answers is None:
        return table("weeks", evidence, Parts(names, evidence.comparisons[newest], label, None, label[:0]))
    made = ((answers.at + MONDAY) // WEEK).astype(np.int64)
    kept = np.isin(made, weeks)
    own = np.searchsorted(weeks, made[kept])
    return table("weeks", evidence, Parts(names, evidence.comparisons[newest], label, answers[kept], own))


def _by_prompt(evidence: StudyData, names: list[str], pairs: list[tuple[int, int]]) -> Parts:
    """pairs: prompt and number of a part that it belongs to; parts without a name are left out."""
    kept = np.array([pair for pair in pairs if pair[1] < len(names)], np.int64).reshape(-1, 2)
    ordered = kept[np.argsort(kept[:, 0], kind="stable")]
    chosen, label = _met(evidence.comparisons.prompt, ordered)
    if evidence.graded is None:
        return Parts(names, evidence.comparisons[chosen], label, None, label[:0])
    answered, own = _met(evidence.graded.prompt, ordered)
    return Parts(names, evidence.comparisons[chosen], label, evidence.graded[answered], own)


def _met(prompt: Ints, pairs: Ints) -> tuple[Ints, Ints]:
    """Each row once for every pair of its prompt: the rows, and the pairs' labels. pairs (P, 2), by prompt."""
    first, last = (np.searchsorted(pairs[:, 0], prompt, side) for side in ("left", "right"))
    times = last - first
    rows = np.repeat(np.arange(len(prompt)), times)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    return rows, pairs[first[rows] + within, 1]


def table(key: str, evidence: StudyData, parts: Parts) -> Table:
    """A line for each part in which raters can be compared, with the same coefficients as the whole study."""
    if not len(parts.comparisons) or not parts.names:
        return Table(key, [])
    units = units_of_comparisons(parts.comparisons, parts.label)
    columns = [
        (name, _estimates(measure, units.cluster, units.label, len(parts.names)))
        for name, measure in (("raw", raw_agreement(units)), ("alpha-nominal", alpha_nominal(units)))
    ]
    if parts.answers is not None:
        graded = units_of_answers(parts.answers, parts.answer_label)
        name = "alpha-ranks" if len(evidence.ranked) else "alpha-scores"
        columns.append((name, _estimates(alpha_ordinal(graded), graded.cluster, graded.label, len(parts.names))))
        found = concordances(parts.answers, parts.answer_label)
        if len(found.task):
            columns.append(("w", _estimates(found.measure, found.task, found.label, len(parts.names))))
    lines = [
        Line(name, [figure(key, of[k], source=evidence.source) for key, of in columns])
        for k, name in enumerate(parts.names)
        if columns[0][1][k].n
    ]
    return Table(key, lines)


def _estimates(measure: Measure, cluster: Ints, label: Ints, labels: int) -> list[Estimate]:
    return measure.estimates(Clusters(cluster), label, labels)
