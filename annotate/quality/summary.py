"""All figures of the quality page, in one place for the page, its file and the report."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.utils.translation import gettext as _

from annotate.judgements.comparisons import Comparisons, Ints
from annotate.known_answers.operations import graded
from annotate.quality import checks
from annotate.quality.agreement import Agreement
from annotate.quality.bootstrap import NOTHING, Clusters, Estimate, share
from annotate.quality.coefficients import Measure, alpha_nominal, alpha_ordinal, kendalls_w, raw_agreement
from annotate.quality.consistency import self_consistency
from annotate.quality.evidence import MONDAY, WEEK, Evidence
from annotate.quality.labels import specific_agreement
from annotate.quality.second_opinion import correlation, same_choice
from annotate.quality.units import numbered, units_of_answers, units_of_comparisons
from annotate.quality.words import NOT_YET, figure
from palate.figures import Figure

MOST_ROWS = 26


@dataclass(frozen=True)
class Line:
    """A row of a table of figures. key: of the words in `words`."""

    name: str
    figures: list[Figure]


@dataclass(frozen=True)
class Table:
    key: str
    lines: list[Line]


def agreement_figures(evidence: Evidence) -> list[Figure]:
    """Agreement of the choices: raw, Krippendorff's α; then ranks, W, the raters' own repeats, gold, adjudication."""
    units = units_of_comparisons(evidence.comparisons)
    clusters = Clusters(units.cluster)
    found = [
        figure("raw", raw_agreement(units).estimate(clusters)),
        figure("alpha-nominal", alpha_nominal(units).estimate(clusters)),
    ]
    if (evidence.comparisons.size > 2).any():
        ranks = evidence.ranks
        ranked = units_of_answers(ranks)
        found.append(figure("alpha-ranks", alpha_ordinal(ranked).estimate(Clusters(ranked.cluster))))
        found.append(figure("w", kendalls_w(ranks)))
    found.append(figure("consistency", _estimate(self_consistency(evidence.study))))
    found.append(figure("gold", gold(evidence)))
    found.append(figure("adjudication", with_adjudication(evidence.comparisons, evidence.adjudications)))
    return found


def _estimate(agreement: Agreement) -> Estimate:
    return Estimate(agreement.value, agreement.low, agreement.high, agreement.pairs)


def gold(evidence: Evidence) -> Estimate:
    """The share of the newest answers to known tasks that are right, drawn by rater."""
    rows = graded(evidence.gold_answers)
    if not rows:
        return NOTHING
    right = np.array([float(ok) for _rater, ok in rows])
    return share(Clusters(np.array([rater for rater, _ok in rows])), right, np.ones(len(rows)))


def with_adjudication(votes: Comparisons, experts: Comparisons) -> Estimate:
    """The share of the raters' comparisons that say what an expert decided of the same two responses."""
    if not len(votes) or not len(experts):
        return NOTHING
    a, b, outcome = votes.pair
    x, y, decided = experts.pair
    keys = np.concatenate([np.stack([votes.task, a, b], 1), np.stack([experts.task, x, y], 1)])
    number, _first = numbered(keys)
    verdict = np.full(number.max() + 1, -1.0)
    verdict[number[len(votes) :]] = decided
    met = verdict[number[: len(votes)]]
    return share(Clusters(votes.cluster), (met == outcome) * 1.0, (met >= 0) * 1.0)


def criteria_table(evidence: Evidence) -> Table:
    """By criterion: α of the scores, and raw agreement of the choices that the scores imply."""
    lines = []
    for criterion in evidence.criteria:
        units = units_of_answers(evidence.scores(criterion.key))
        estimate = alpha_ordinal(units).estimate(Clusters(units.cluster))
        lines.append(Line(criterion.name, [figure("alpha-scores", estimate)]))
    return Table("criteria", lines)


def label_table(evidence: Evidence) -> Table:
    """By label: how raters agree on it and with known answers, and how sure they are; first the agreement on all."""
    found, known = evidence.labelled, evidence.checked_labels
    if not len(found) and not known.names:
        return Table("labels", [])
    lines = [Line(_("all labels"), [figure("alpha-labels", alpha_nominal(found.units).estimate(found.clusters))])]
    for place, name in enumerate(found.names):
        chosen = found.label == place
        sure = np.where(chosen & np.isfinite(found.confidence), found.confidence, 0)
        confidence = share(Clusters(found.prompt), sure, (sure > 0) * 1.0)
        estimate = specific_agreement(found.units, place).estimate(found.clusters)
        figures = [figure("label", estimate), figure("confidence", confidence), figure("label-known", known.of(name))]
        lines.append(Line(name, figures))
    missed = [name for name in known.names if name not in found.names]
    lines += [Line(name, [figure("label-known", known.of(name))]) for name in missed]
    return Table("labels", lines)


def opinion_table(evidence: Evidence) -> Table:
    """chrF against the references beside what raters say; empty where no judged prompt has a reference."""
    opinion = evidence.opinion
    if not len(opinion):
        return Table("chrf", [])
    lines = []
    if len(evidence.ranked):
        lines.append(Line(_("choices"), [figure("chrf-choice", same_choice(opinion, evidence.ranked))]))
    for criterion in evidence.criteria:
        estimate = correlation(opinion, evidence.scores(criterion.key))
        lines.append(Line(criterion.name, [figure("chrf-score", estimate)]))
    return Table("chrf", lines)


def group_table(evidence: Evidence) -> Table:
    """By group of prompts."""
    names, number = evidence.prompt_group
    units = units_of_comparisons(evidence.comparisons)
    label = np.array([number.get(prompt, -1) for prompt in units.prompt.tolist()], np.int64)
    return _by_label("groups", evidence.comparisons, names, label, None)


def audience_table(evidence: Evidence) -> Table:
    """By the tags that prompts ask of their raters; a prompt may stand in several rows."""
    names, prompts = evidence.audience
    lines = []
    for k, name in enumerate(names[:MOST_ROWS]):
        chosen = evidence.comparisons[np.isin(evidence.comparisons.prompt, prompts[k])]
        units = units_of_comparisons(chosen)
        clusters = Clusters(units.cluster)
        measures = raw_agreement(units), alpha_nominal(units)
        lines.append(Line(name, _pair(*(measure.estimate(clusters) for measure in measures))))
    return Table("audience", lines)


def week_table(evidence: Evidence) -> Table:
    """By the week in which judgements were made: raters are compared within a week. The newest weeks."""
    weeks = np.unique(evidence.week)[-MOST_ROWS:]
    newest = evidence.week >= weeks[0] if len(weeks) else np.zeros(0, bool)
    chosen, week = evidence.comparisons[newest], evidence.week[newest]
    apart = np.searchsorted(weeks, week)
    names = [f"{datetime.fromtimestamp(w * WEEK - MONDAY, UTC):%Y-%m-%d}" for w in weeks.tolist()]
    units = units_of_comparisons(chosen, apart)
    return _by_label("weeks", chosen, names, units.label, apart)


def _by_label(key: str, comparisons: Comparisons, names: list[str], label: Ints, apart: Ints | None) -> Table:
    units = units_of_comparisons(comparisons, apart)
    if not len(units) or not names:
        return Table(key, [])
    # One more label for what belongs to none.
    label = np.where(label < 0, len(names), label)
    clusters, columns = Clusters(units.cluster), []
    for measure in (raw_agreement(units), alpha_nominal(units)):
        columns.append(_estimates(measure, clusters, label, len(names)))
    lines = [Line(name, _pair(raw, alpha)) for name, raw, alpha in zip(names, *columns, strict=True) if raw.n]
    return Table(key, lines[:MOST_ROWS] if key == "groups" else lines)


def _estimates(measure: Measure, clusters: Clusters, label: Ints, labels: int) -> list[Estimate]:
    return clusters.estimates(measure.statistic, measure.values, label, labels + 1, measure.n)[:labels]


def _pair(raw: Estimate, alpha: Estimate) -> list[Figure]:
    return [figure("raw", raw), figure("alpha-nominal", alpha)]


def all_checks(evidence: Evidence) -> list[checks.Check]:
    """Every test of a habit that no rater should have."""
    comparisons, skipping = evidence.comparisons, evidence.skipping
    first, second = evidence.length_of(comparisons.first), evidence.length_of(comparisons.second)
    found = [checks.position_bias(comparisons, evidence.random_order)]
    if (comparisons.size > 2).any():
        found.append(checks.first_against_last(comparisons, evidence.random_order))
    return [
        *found,
        checks.length_bias(comparisons, first, second),
        checks.fatigue(comparisons),
        checks.after_a_side(comparisons),
        checks.order_of_rounds(comparisons, evidence.turn, evidence.new_wins),
        checks.skips(skipping.skipped, skipping.length, skipping.task),
        checks.skips_and_agreement(np.unique(skipping.task[skipping.skipped]), comparisons),
    ]


def not_yet(evidence: Evidence) -> str:
    """Why the page has nothing to tell, or nothing."""
    if not len(evidence.comparisons) and not any(len(evidence.scores(c.key)) for c in evidence.criteria):
        return str(NOT_YET["nothing"])
    raters = len(np.unique(evidence.comparisons.rater))
    return _("One rater alone so far: agreement needs a second one.") if raters == 1 else ""
