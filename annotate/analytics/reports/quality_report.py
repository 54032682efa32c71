"""All figures of the quality page, in one place for the page, its file and the report."""

import numpy as np
from django.utils.translation import gettext as _

from annotate.analytics.agreement.coefficients import alpha_nominal, alpha_ordinal, kendalls_w, same_grade
from annotate.analytics.agreement.labels import specific_agreement
from annotate.analytics.agreement.pairwise import Agreement, agreement
from annotate.analytics.agreement.self_consistency import self_consistency
from annotate.analytics.agreement.units import numbered, units_of_answers, units_of_comparisons
from annotate.analytics.bias import checks
from annotate.analytics.comparisons import Comparisons
from annotate.analytics.figure_labels import NOT_YET, Line, Table, figure
from annotate.analytics.reports.second_opinion import correlation, same_choice
from annotate.analytics.reports.study_data import StudyData
from annotate.collection.gold import graded
from core.figures import Figure
from core.statistics.bootstrap import NOTHING, Clusters, Estimate, share


def agreement_figures(evidence: StudyData) -> list[Figure]:
    """Agreement of the choices: raw, Krippendorff's α; then ranks, W, the raters' own repeats, gold, adjudication."""
    units = units_of_comparisons(evidence.comparisons)
    clusters = Clusters(units.cluster)
    found = [
        ("raw", agreement(evidence.comparisons)),
        ("alpha-nominal", alpha_nominal(units).estimate(clusters)),
    ]
    if (evidence.ranked.size > 2).any():
        ranked = units_of_answers(evidence.ranks)
        found.append(("alpha-ranks", alpha_ordinal(ranked).estimate(Clusters(ranked.cluster))))
        found.append(("w", kendalls_w(evidence.ranks)))
    adjudicated = with_adjudication(evidence.comparisons, evidence.adjudications)
    return [
        *(figure(key, estimate, source=evidence.source) for key, estimate in found),
        figure(
            "consistency",
            _estimate(self_consistency(evidence.study, evidence.selection)),
            source=_("tasks shown to a rater again"),
        ),
        figure("gold", gold(evidence), source=_("the newest answers to tasks with a known answer")),
        figure("adjudication", adjudicated, source=evidence.source),
    ]


def _estimate(agreement: Agreement) -> Estimate:
    return Estimate(agreement.value, agreement.low, agreement.high, agreement.pairs)


def gold(evidence: StudyData) -> Estimate:
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
    keys = np.concatenate([np.stack([votes.cluster, a, b], 1), np.stack([experts.cluster, x, y], 1)])
    number, _first = numbered(keys)
    verdict = np.full(number.max() + 1, -1.0)
    verdict[number[len(votes) :]] = decided
    met = verdict[number[: len(votes)]]
    return share(Clusters(votes.cluster), (met == outcome) * 1.0, (met >= 0) * 1.0)


def criteria_table(evidence: StudyData) -> Table:
    """By criterion: α of the scores, how often two raters give the same one; W where several were scored at once."""
    lines = []
    for criterion in evidence.criteria:
        answers = evidence.scores(criterion.key)
        units = units_of_answers(answers)
        clusters = Clusters(units.cluster)
        found = [
            ("alpha-scores", alpha_ordinal(units).estimate(clusters)),
            ("same-score", same_grade(units).estimate(clusters)),
        ]
        if evidence.scored_together:
            found.append(("w-scores", kendalls_w(answers)))
        lines.append(Line(criterion.name, [figure(key, of, source=evidence.source) for key, of in found]))
    return Table("criteria", lines)


def label_table(evidence: StudyData) -> Table:
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


def opinion_table(evidence: StudyData) -> Table:
    """chrF against the references, compared with what raters say; empty where no judged prompt has a reference."""
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


def all_checks(evidence: StudyData) -> list[checks.Check]:
    """Every test of a habit that no rater should have."""
    comparisons, skipping = evidence.comparisons, evidence.skipping
    first, second = evidence.length_of(comparisons.first), evidence.length_of(comparisons.second)
    found = [checks.position_bias(comparisons, evidence.random_order)]
    if (comparisons.size > 2).any():
        found.append(checks.first_against_last(comparisons, evidence.random_order))
    found += [
        checks.length_bias(comparisons, first, second),
        checks.fatigue(comparisons),
        checks.order_of_rounds(comparisons, evidence.turn, evidence.new_wins),
        checks.skips(skipping.skipped, skipping.length, skipping.task),
        checks.skips_and_agreement(np.unique(skipping.task[skipping.skipped]), comparisons),
    ]
    return checks.corrected(found)


def not_yet(evidence: StudyData) -> str:
    """Why the page has nothing to tell, or nothing."""
    if not len(evidence.comparisons) and not any(len(evidence.scores(c.key)) for c in evidence.criteria):
        return str(NOT_YET["nothing"])
    raters = len(np.unique(evidence.comparisons.rater))
    return _("One rater alone so far: agreement needs a second one.") if raters == 1 else ""
