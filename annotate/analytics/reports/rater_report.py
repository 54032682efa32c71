"""A rater's page: the rater's habits, compared with the others', and the results without the rater."""

from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.analytics.agreement.coefficients import Measure, alpha_nominal, alpha_ordinal, concordances, raw_agreement
from annotate.analytics.agreement.units import units_of_answers, units_of_comparisons
from annotate.analytics.bias.checks import others_agree
from annotate.analytics.bias.habits import Habits, habits
from annotate.analytics.ranking.votes_of_study import Selection, ranking_input, standings_of
from annotate.analytics.reliability import reliability
from annotate.analytics.reports.study_data import StudyData
from annotate.models.members import Membership
from core.figures import Figure
from core.statistics.bootstrap import NOTHING, Estimate
from core.statistics.multiple_tests import holm, p_value


@dataclass(frozen=True)
class Without:
    """A result with and without the rater."""

    name: str
    whole: float | None
    without: float | None


@dataclass(frozen=True)
class RaterReport:
    habits: Habits
    reliability: tuple[float, float, float] | None
    study_agreement: float | None
    study_reliability: float | None
    remarks: list[str]
    without: list[Without]


def report(evidence: StudyData, member: Membership) -> RaterReport:
    comparisons = evidence.comparisons
    mine = comparisons.rater == member.pk
    same, others = others_agree(comparisons)
    given = evidence.given
    own = given[given.rater == member.pk]
    found = habits(comparisons[mine], same[mine], others[mine], own, given.shares, evidence.longer_first[mine])
    trust = reliability(comparisons)
    usual = float(np.average(trust.value, weights=trust.votes)) if trust.votes.sum() else None
    agreement = float(same.sum() / others.sum()) if others.sum() else None
    alpha = trust.of(member.pk)
    return RaterReport(
        habits=found,
        reliability=alpha,
        study_agreement=agreement,
        study_reliability=usual,
        remarks=remarks(found, alpha, agreement, usual),
        without=without(evidence, member),
    )


def remarks(
    found: Habits, alpha: tuple[float, float, float] | None, agreement: float | None, usual: float | None
) -> list[str]:
    """What stands out beyond doubt, in words that a manager can say to the rater; what is fine is said too.

    Beyond doubt is 95 % for all that is looked at together, by Holm's procedure.
    """
    sure = holm(_p_values(found, alpha, agreement, usual))
    remarks_made = []
    if found.agreement.value is not None and agreement is not None:
        if "agreement" in sure and found.agreement.value < agreement:
            remarks_made.append(
                _("Agrees with others less than raters here usually do. Look at some of these tasks together.")
            )
        elif "agreement" in sure:
            remarks_made.append(_("Agrees with others more than raters here usually do."))
        else:
            remarks_made.append(_("Agrees with others as much as raters here usually do."))
    if "reliability" in sure and alpha and usual is not None and alpha[0] < usual:
        remarks_made.append(
            _("Answers hang together with the others' less than usual: the vote counts for less in what is learned.")
        )
    if "first" in sure:
        remarks_made.append(
            _("Prefers the response shown first more often than chance brings. Remind to read both before choosing.")
            if (found.first.value or 0) > 0.5
            else _(
                "Prefers the response shown last more often than chance brings. Remind to read both before choosing."
            )
        )
    if "run" in sure and found.straight:
        remarks_made.append(
            _(
                "Gave the same answer %(n)d times in a row, which chance hardly brings. "
                "Ask what these tasks had in common."
            )
            % {"n": found.run}
        )
    if found.timed and found.fast / found.timed > 0.1:
        remarks_made.append(
            ngettext(
                "%(n)d answer came before its texts could be read.",
                "%(n)d answers came before their texts could be read.",
                found.fast,
            )
            % {"n": found.fast}
        )
    if "drift" in sure and (found.drift.value or 0) < 0:
        remarks_made.append(
            _("Agreement has fallen in the second half of the work. A break, or the instructions again, may help.")
        )
    elif "drift" in sure:
        remarks_made.append(_("Agreement has risen in the second half of the work."))
    if len(remarks_made) < 2:
        remarks_made.append(_("Nothing else stands out."))
    return remarks_made


def _p_values(
    found: Habits, alpha: tuple[float, float, float] | None, agreement: float | None, usual: float | None
) -> dict[str, float | None]:
    """The p-value of everything that a remark may call out of the ordinary; None where it cannot be told."""
    own = Estimate(*alpha, 0) if alpha else NOTHING
    return {
        "agreement": None if agreement is None else p_value(found.agreement, agreement),
        "reliability": None if usual is None else p_value(own, usual),
        "first": p_value(found.first, 0.5),
        "run": found.run_chance if found.run else None,
        "drift": p_value(found.drift, 0.0),
    }


def without(evidence: StudyData, member: Membership) -> list[Without]:
    """Every coefficient of agreement and every strength, of all votes and without the rater's."""
    comparisons, selection = evidence.comparisons, Selection(judgements=evidence.selection)
    whole, rest = (_coefficients(evidence, left_out) for left_out in (None, member.pk))
    results = [Without(name, value, rest[name]) for name, value in whole.items()]
    strengths = []
    for chosen in (comparisons, comparisons[comparisons.rater != member.pk]):
        found = standings_of(evidence.study, selection, ranking_input(evidence.study, selection, chosen))
        strengths.append({place.name: place.strength for part in found.parts for place in part.places})
    for name in sorted(strengths[0], key=lambda name: -strengths[0][name]):
        results.append(Without(_("strength of %(name)s") % {"name": name}, strengths[0][name], strengths[1].get(name)))
    return results


def _coefficients(evidence: StudyData, left_out: int | None) -> dict[str, float | None]:
    """Name to value of every coefficient, without one rater's votes; None where there is none."""
    units = units_of_comparisons(evidence.comparisons[evidence.comparisons.rater != left_out])
    measures = {_("raw agreement"): raw_agreement(units), _("Krippendorff's α, choices"): alpha_nominal(units)}
    if (evidence.ranked.size > 2).any():
        ranks = evidence.ranks[evidence.ranks.rater != left_out]
        measures[_("Krippendorff's α, ranks")] = alpha_ordinal(units_of_answers(ranks))
        measures[_("Kendall's W")] = concordances(ranks).measure
    for criterion in evidence.criteria:
        scores = evidence.scores(criterion.key)
        graded = units_of_answers(scores[scores.rater != left_out])
        measures[_("Krippendorff's α, %(name)s") % {"name": criterion.name}] = alpha_ordinal(graded)
    return {name: _value(measure) for name, measure in measures.items()}


def _value(measure: Measure) -> float | None:
    if not measure.n.sum():
        return None
    value = float(measure.statistic(measure.values.sum(axis=0)))
    return value if np.isfinite(value) else None


def figures(found: RaterReport) -> list[Figure]:
    """The rater's figures, explained."""
    h, others = found.habits, _("this rater's judgements in this study")
    jeffreys, by_task = _("share; Jeffreys interval"), _("share; bootstrap of tasks")

    def share(name: str, what: str, estimate: Estimate, unit: str, method: str, digits: int = 2) -> Figure:
        missing = _("not yet")
        return Figure(
            what, name, estimate.value, estimate.low, estimate.high, estimate.n, unit, method, others, missing, digits
        )

    value, low, high = found.reliability or (None, None, None)
    alpha = Estimate(value, low, high, h.agreement.n)
    return [
        share(
            _("agreement with others"),
            _("How often another rater of the same task says the same"),
            h.agreement,
            _("comparisons that others made too"),
            by_task,
        ),
        share(
            _("reliability α"),
            _("How likely the rater gives the answer that the raters together make likely, a tie being an answer too"),
            alpha,
            _("comparisons that others made too"),
            _("Dawid & Skene 1979 with one parameter a rater, prior Beta(4, 2); posterior mean and interval"),
        ),
        share(
            _("first response"), _("How often the response shown first is preferred"), h.first, _("choices"), jeffreys
        ),
        share(_("longer response"), _("How often the longer response is preferred"), h.longer, _("choices"), jeffreys),
        share(_("ties"), _("How often two responses are called equal"), h.ties, _("comparisons"), jeffreys),
        share(
            _("drift"),
            _("Agreement with others in the second half of the work minus that in the first"),
            h.drift,
            _("comparisons that others made too"),
            _("difference of shares; bootstrap of tasks"),
        ),
        share(
            _("agreement of all raters here"),
            _("How often two raters of the same task say the same, among all raters"),
            Estimate(found.study_agreement, None, None, 0),
            "",
            _("share of pairs of answers; the page on quality has its interval"),
        ),
        share(
            _("reliability of all raters here"),
            _("The mean of the reliabilities of all raters"),
            Estimate(found.study_reliability, None, None, 0),
            "",
            _("weighed by their votes"),
        ),
    ]
