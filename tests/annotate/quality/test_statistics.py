"""Statistics of quality: against the reference libraries, and by hand."""

import krippendorff
import numpy as np
import pytest
from scipy.stats import friedmanchisquare, norm

from annotate.analytics.agreement.coefficients import (
    alpha_nominal,
    alpha_ordinal,
    concordance,
    kendalls_w,
    raw_agreement,
    same_grade,
)
from annotate.analytics.agreement.units import units_of_answers, units_of_comparisons
from annotate.analytics.bias import checks
from annotate.analytics.bias.answer_patterns import given
from annotate.analytics.bias.habits import habits, longest_run, rows
from annotate.analytics.comparisons import Answers, Comparisons
from annotate.analytics.reliability import reliability
from core.statistics.bootstrap import Clusters, Estimate, ratio
from core.statistics.multiple_tests import holm, p_value


def comparisons(task, rater, first_wins, *, first=None, at=None, seconds=None, known=None):
    """Comparisons of responses 2t and 2t + 1 of task t, the first shown being 2t unless `first` says otherwise."""
    task, rater = np.asarray(task), np.asarray(rater)
    size = len(task)
    ahead = np.zeros(size, int) if first is None else np.asarray(first)
    return Comparisons(
        judgement=np.arange(size),
        task=task,
        prompt=task,
        rater=rater,
        first=2 * task + ahead,
        second=2 * task + 1 - ahead,
        outcome=np.asarray(first_wins, float),
        size=np.full(size, 2),
        at=np.arange(size, dtype=float) if at is None else np.asarray(at, float),
        seconds=np.full(size, np.nan) if seconds is None else np.asarray(seconds, float),
        order_known=np.ones(size, int) if known is None else np.asarray(known),
    )


def answers(values):
    """Scores of one response a task, (raters, tasks), NaN where a rater gave none."""
    rater, task = np.nonzero(np.isfinite(values))
    zero = np.zeros(len(task), int)
    return Answers(zero, task, task, rater, task, zero, zero + 1, values[rater, task], zero.astype(float), zero + 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("levels", [2, 5, 101])
def test_alpha_of_scores_is_that_of_the_library(rng, levels):
    values = np.clip(rng.integers(levels, size=30) + rng.integers(-1, 2, size=(6, 30)), 0, levels - 1).astype(float)
    values[rng.random(values.shape) < 0.4] = np.nan
    units = units_of_answers(answers(values))
    found = alpha_ordinal(units).estimate(Clusters(units.cluster))
    assert found.value == pytest.approx(
        krippendorff.alpha(reliability_data=values, level_of_measurement="ordinal"), abs=1e-9
    )
    assert found.low < found.value < found.high


def test_scores_of_nearly_as_many_values_as_answers_need_no_table_of_them(rng):
    """Sixty thousand answers of as many values: a table of things by values would take gigabytes."""
    quality = rng.normal(size=20_000)
    values = quality + rng.normal(size=(3, 20_000))
    units = units_of_answers(answers(values))
    assert len(units.values) == 60_000
    found = alpha_ordinal(units).estimate(Clusters(units.cluster))
    # Spearman's correlation of two raters, whose values correlate by one half.
    assert found.value == pytest.approx(6 / np.pi * np.arcsin(0.5 / 2), abs=0.02)
    assert same_grade(units).estimate(Clusters(units.cluster)).value == 0


def test_few_clusters_have_wide_intervals_or_none(rng):
    """Of 200 small studies about 95 in 100 hold the truth; the bare percentiles of six means would hold fewer."""
    held = 0
    for seed in range(200):
        means = np.random.default_rng(seed).normal(size=6)
        found = Clusters(np.arange(6)).estimate(ratio, np.stack([means, np.ones(6)], axis=1), 6)
        held += found.low <= 0 <= found.high
    assert held >= 181
    assert Clusters(np.arange(4)).estimate(ratio, np.ones((4, 2)), 4).low is None


def test_alpha_of_choices_is_that_of_the_library(rng):
    task, rater = np.repeat(np.arange(40), 4), np.tile(np.arange(4), 40)
    shown, best = rng.integers(2, size=160), rng.integers(2, size=40)[task]
    outcome = np.where(rng.random(160) < 0.2, 0.5, ((best != shown) ^ (rng.random(160) < 0.2)) * 1.0)
    of = comparisons(task, rater, outcome, first=shown)
    units = units_of_comparisons(of)
    table = np.full((4, 40), np.nan)
    table[rater, task] = of.pair[2]
    found = alpha_nominal(units).estimate(Clusters(units.cluster))
    assert found.value == pytest.approx(
        krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"), abs=1e-9
    )
    same = [table[i, t] == table[j, t] for t in range(40) for i in range(4) for j in range(i)]
    raw = raw_agreement(units).estimate(Clusters(units.cluster))
    assert (raw.value, raw.n) == (pytest.approx(np.mean(same)), 240)
    # By label: the halves are what they are alone.
    label = (units.cluster >= 20) * 1
    clusters, measure = Clusters(units.cluster), alpha_nominal(units)
    halves = clusters.estimates(measure.statistic, measure.values, label, 2, measure.n)
    assert halves[1].value == pytest.approx(
        krippendorff.alpha(reliability_data=table[:, 20:], level_of_measurement="nominal"), abs=1e-9
    )


def test_w_is_friedmans_statistic_rescaled(rng):
    values = rng.integers(3, size=(5, 7, 4)).astype(float)
    expected = [friedmanchisquare(*of.T).statistic / (7 * 3) for of in values]
    assert concordance(values) == pytest.approx(expected)
    assert np.isnan(concordance(np.ones((1, 3, 3)))[0])


def test_w_by_task():
    # Two raters and three: the same order by all, then opposite orders of two.
    value = np.array([1, 2, 3, 1, 2, 3, 1, 2, 3, 3, 2, 1], float)
    judgement = np.repeat(np.arange(4), 3)
    task = np.repeat([0, 1], 6)
    response = np.tile([0, 1, 2], 4) + 10 * task
    zero = np.zeros(12, int)
    found = kendalls_w(
        Answers(
            judgement, task, task, judgement, response, np.tile([0, 1, 2], 4), zero + 3, value, zero * 1.0, zero + 1
        )
    )
    assert (found.value, found.n) == (pytest.approx(0.5), 2)


def test_nothing_to_agree_on():
    alone = units_of_comparisons(comparisons([0, 1], [0, 0], [1, 0]))
    assert raw_agreement(alone).estimate(Clusters(alone.cluster)).value is None
    tied = units_of_comparisons(comparisons([0, 0, 1, 1], [0, 1, 0, 1], [0.5] * 4))
    assert raw_agreement(tied).estimate(Clusters(tied.cluster)).value == 1
    assert alpha_nominal(tied).estimate(Clusters(tied.cluster)).value is None
    nothing = comparisons([], [], [])
    for check in (
        checks.position_bias(nothing, np.zeros(0, bool)),
        checks.length_bias(nothing, np.zeros(0), np.zeros(0)),
        checks.fatigue(nothing),
        checks.first_against_last(nothing, np.zeros(0, bool)),
        checks.skips(np.zeros(0, bool), np.zeros(0), np.zeros(0, int)),
    ):
        assert check.estimate.value is None
        assert check.missing
    assert rows(nothing, given(*[np.zeros(0)] * 7), np.zeros(0)) == []
    assert len(reliability(nothing).rater) == 0


def test_a_pull_to_the_first_place_is_found_whatever_the_quality(rng):
    task = np.repeat(np.arange(300), 4)
    first, quality = rng.integers(2, size=1200), rng.normal(size=300)[task]
    d = np.where(first == 0, quality, -quality)
    wins = rng.random(1200) < 1 / (1 + np.exp(-(d + 0.6)))
    of = comparisons(task, np.tile(np.arange(4), 300), wins, first=first)
    biased = checks.position_bias(of, np.ones(1200, bool))
    assert checks.corrected([biased])[0].found
    assert biased.estimate.low > 0.55
    honest = comparisons(task, np.tile(np.arange(4), 300), rng.random(1200) < 1 / (1 + np.exp(-d)), first=first)
    assert not checks.corrected([checks.position_bias(honest, np.ones(1200, bool))])[0].found


def test_imported_orders_count_only_where_both_occur():
    of = comparisons([0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1], first=[0, 0, 0, 1])
    assert checks.order_was_random(of, np.zeros(4, bool)).tolist() == [False, False, True, True]
    assert checks.order_was_random(of, np.array([True, False, False, False])).tolist() == [True, False, True, True]


def test_the_ends_of_a_ranking():
    # One ranking of three: pairs (first, second), (first, third), (second, third).
    of = Comparisons(
        np.zeros(3, int), np.zeros(3, int), np.zeros(3, int), np.zeros(3, int), np.array([5, 5, 9]),
        np.array([9, 7, 7]), np.array([0.0, 1.0, 1.0]), np.full(3, 3), np.zeros(3), np.zeros(3),
        np.ones(3, int),
    )  # fmt: skip
    found = checks.first_against_last(of, np.ones(3, bool)).estimate
    assert (found.value, found.n) == (1.0, 1)


def test_sessions_begin_anew_after_a_pause():
    at = np.array([0, 60, 120, 3000, 3060, 30], float)
    assert checks.sessions(np.array([1, 1, 1, 1, 1, 2]), at).tolist() == [0, 1, 2, 0, 1, 0]


def test_fatigue_is_found(rng):
    raters, each = 40, 64
    task = np.tile(np.arange(each), raters)
    rater = np.repeat(np.arange(raters), each)
    # Each rater sees the tasks in an order of their own; the later, the more like a coin.
    place = np.concatenate([rng.permutation(each) for _ in range(raters)])
    right = rng.random(raters * each) < 0.95 - 0.07 * np.log2(1 + place)
    of = comparisons(task, rater, right, at=place * 30 + rater * 1e6)
    assert checks.fatigue(of).estimate.high < 0
    steady = comparisons(task, rater, rng.random(raters * each) < 0.8, at=place * 30 + rater * 1e6)
    assert not checks.corrected([checks.fatigue(steady)])[0].found


def test_skips_of_long_tasks_are_found():
    length = np.array([100] * 50 + [200] * 50, float)
    skipped = np.array([False] * 45 + [True] * 5 + [False] * 10 + [True] * 40)
    found = checks.skips(skipped, length, np.arange(100)).estimate
    assert found.value == pytest.approx(40 / 45 - 10 / 55)
    assert found.low > 0


def crowd(rng, alpha, tasks=400, each=5):
    """Votes of raters who say the truth with probability alpha, else one of the two other answers."""
    raters = len(alpha)
    rater = np.concatenate([rng.permutation(raters)[:each] for _ in range(tasks)])
    task = np.repeat(np.arange(tasks), each)
    truth = rng.integers(3, size=tasks)[task]
    right = rng.random(len(task)) < np.asarray(alpha)[rater]
    output = np.where(right, truth, (truth + rng.integers(1, 3, size=len(task))) % 3)
    return comparisons(task, rater, output / 2)


def test_reliability_is_recovered(rng):
    alpha = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 1 / 3])
    found = reliability(crowd(rng, alpha))
    assert found.value == pytest.approx(alpha, abs=0.07)
    assert ((found.low <= alpha) & (alpha <= found.high)).sum() >= 7
    assert found.of(99) is None
    # A coin's vote weighs nothing beside the best rater's.
    weights = found.weights()
    assert weights[7] < 0.1 < 1 < weights[0]


def test_habits_by_hand():
    seconds = np.array([1, 50, 50, 50, 50, 50, 50, np.nan])
    of = comparisons(np.arange(8), np.zeros(8, int), [1, 1, 1, 1, 1, 1, 0, 0.5])
    # Of each pair the rank of the first and of the second.
    value = np.array([[1, 2]] * 6 + [[2, 1], [1, 1]]).ravel()
    all_given = given(
        np.zeros(16, int), np.tile([0, 1], 8), np.repeat(of.at, 2), np.repeat(seconds, 2), value, np.full(16, 500.0),
        np.ones(16, int),
    )  # fmt: skip
    longer = np.array([1, 1, 0, 0, np.nan, np.nan, np.nan, 1])
    found = habits(of, np.zeros(8), np.zeros(8), all_given, all_given.shares, longer)
    assert (found.answers, found.fast, found.timed, found.pace, found.run) == (8, 1, 7, 50, 6)
    assert (found.first.value, found.longer.value, found.ties.value) == (pytest.approx(6 / 7), 0.5, 1 / 8)
    assert found.agreement.value is None
    row = rows(of, all_given, longer)[0]
    assert (row.answers, row.pace, row.agreement) == (8, 50, None)
    assert (row.first, row.longer, row.fast) == (pytest.approx(6 / 7), 0.5, pytest.approx(1 / 7))


def test_habits_of_side_need_a_known_order():
    """A source that writes the better response first shows nothing of a rater's side, nor a run of equal answers."""
    of = comparisons(np.arange(8), np.zeros(8, int), [1] * 8, known=[0] * 8)
    value, unknown = np.tile([1, 2], 8), np.zeros(16, int)
    all_given = given(
        np.zeros(16, int), np.tile([0, 1], 8), np.repeat(of.at, 2), np.zeros(16), value, np.zeros(16), unknown
    )
    found = habits(of, np.zeros(8), np.zeros(8), all_given, all_given.shares, np.full(8, np.nan))
    assert (found.answers, found.first.value, found.run) == (8, None, 0)
    assert rows(of, all_given, np.full(8, np.nan))[0].first is None
    assert not checks.order_was_random(of, np.ones(8, bool)).any()


def test_the_same_answer_is_the_same_at_every_place():
    """Two rankings of three that are alike, one that is not, and a score of 1, which is no rank of a third."""
    value = np.array([1, 2, 2, 1, 2, 2, 2, 1, 2, 1], float)
    place = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    zero = np.zeros(10)
    output = given(zero, place, zero, zero, value, zero, zero + 1).answer
    assert output[0] == output[1]
    assert len(set(output.tolist())) == 3


def test_a_long_run_is_unlikely_by_chance(rng):
    even = np.array([0.5, 0.5])
    assert longest_run(np.zeros(0, int), even) == (0, 1.0)
    longest, chance = longest_run(rng.integers(2, size=200), even)
    assert longest < 20
    assert chance > 0.05
    # Whoever gives one answer only, among raters who do not; among raters who do it is nothing.
    assert longest_run(np.ones(40, int), even) == (40, pytest.approx(0.5**39))
    assert longest_run(np.ones(40, int), np.array([0, 1.0]))[1] == 1


@pytest.mark.parametrize(
    ("value", "low", "high"), [(0.6, 0.52, 0.68), (0.6, 0.5, 0.7), (0.6, 0.49, 0.71), (0.4, 0.3, 0.49)]
)
def test_a_p_value_says_what_its_interval_says(value, low, high):
    estimate = Estimate(value, low, high, 100)
    p = p_value(estimate, 0.5)
    assert (p < 0.05 - 1e-9) == estimate.excludes(0.5)
    # Of a normal estimate, the interval is 1.96 standard errors to either side.
    error = (value - low if value > 0.5 else high - value) / norm.ppf(0.975)
    assert p == pytest.approx(2 * norm.sf(abs(value - 0.5) / error))


def test_a_p_value_needs_an_interval():
    assert p_value(Estimate(0.6, None, None, 3), 0.5) is None
    assert p_value(Estimate(1.0, 1.0, 1.0, 3), 0.5) == 0
    assert p_value(Estimate(0.5, 0.5, 0.5, 3), 0.5) == 1


def test_holms_procedure():
    """By hand, smallest first: 0.005 · 4, 0.011 · 3, 0.02 · 2 and 0.04 · 1 are all at most 0.05."""
    assert holm({"a": 0.02, "b": 0.005, "c": 0.04, "d": 0.011, "e": None}) == {"a", "b", "c", "d"}
    assert holm({"a": 0.02, "b": 0.005, "c": 0.04, "d": 0.03}) == {"b"}
    assert holm({"a": 0.02, "b": 0.013}) == {"a", "b"}
    assert holm({"a": None}) == holm({}) == set()


def test_flawless_data_show_a_habit_in_one_of_twenty_studies_and_not_in_one_of_three(rng):
    """Eight checks of pure noise, 2,000 times: at 95 % each, one in three studies would show one."""
    noise = rng.normal(size=(2000, 8))
    each, together = 0, 0
    for row in noise:
        found = [checks.Check(str(k), Estimate(z, z - 1.96, z + 1.96, 9), 0.0) for k, z in enumerate(row)]
        each += any(check.estimate.excludes(0.0) for check in found)
        together += any(check.found for check in checks.corrected(found))
    assert each / 2000 == pytest.approx(1 - 0.95**8, abs=0.04)
    assert together / 2000 == pytest.approx(0.05, abs=0.02)
