"""The one bootstrap: whole clusters, widened by t, none below five; and shares near 0 and 1."""

import subprocess
import sys

import numpy as np
import pytest

from core.statistics.bootstrap import (
    FEWEST,
    Clusters,
    Estimate,
    mean_of_groups,
    numbered,
    proportion,
    ratio,
    share_of_groups,
)


def test_too_few_clusters_have_no_interval_whatever_the_number_of_observations():
    for count in range(1, FEWEST):
        found = share_of_groups([[1.0, 0.0] * 50] * count)
        assert (found.value, found.low, found.high, found.n) == (0.5, None, None, 100 * count)
        assert found.interval is None
        assert found.in_unit() == (0.5, 0.0, 1.0)
    assert share_of_groups([[1.0, 0.0] * 50] * FEWEST).interval is not None


def test_clusters_that_all_say_the_same_are_not_certain():
    """A percentile interval would be the single point 1, also where one in five prompts differs."""
    five, ten, fifty = (share_of_groups([[1.0] * 30] * count) for count in (5, 10, 50))
    assert five.low < 0.5 < ten.low < fifty.low < 1.0
    assert (five.high, ten.high, fifty.high) == (1.0, 1.0, 1.0)
    none = share_of_groups([[0.0] * 30] * 5)
    assert (none.low, none.high) == pytest.approx((0.0, 1 - five.low))


def test_the_interval_of_a_proportion_lies_between_0_and_1():
    cluster, hits = np.arange(12), np.array([1.0] * 11 + [0.8])
    values = np.stack([hits, np.ones(12)], axis=1)
    found = Clusters(cluster).estimate(proportion, values, 12)
    assert 0 < found.low < found.value < found.high <= 1
    assert Clusters(cluster).estimate(ratio, values, 12).high > 1
    (by_label,) = Clusters(cluster).estimates(proportion, values, np.zeros(12, dtype=int), 1, np.ones(12))
    assert by_label.interval == pytest.approx(found.interval)


def test_answers_of_one_cluster_are_worth_less_than_answers_of_many():
    rng = np.random.default_rng(0)
    answers = (rng.random(200) < 0.7).astype(float)
    alike = share_of_groups([[value] * 10 for value in answers[:20]])
    apart = share_of_groups([[value] for value in answers])
    assert alike.high - alike.low > 2.5 * (apart.high - apart.low)


def test_widened_by_t_it_holds_the_mean_of_few_normal_clusters_as_often_as_it_says():
    """bench/coverage.py has more cases. The percentile interval of five clusters holds it in four of five studies."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        found = mean_of_groups([[x] for x in rng.normal(size=5)])
        held += found.low <= 0.0 <= found.high
    assert held / 400 > 0.92  # a rate of 0.95 is below it once in two hundred times


def test_the_interval_of_skewed_numbers_follows_their_tail():
    """Log losses: their mean is missed above, where nearly all of its error lies."""
    values = np.array([0.05] * 6 + [0.1, 0.2, 0.4, 1.6, 2.4])
    found, draws = mean_of_groups([[x] for x in values]), Clusters(np.arange(11))
    _, means = draws.drawn(ratio, np.stack([values, np.ones(11)], axis=1))
    assert found.high - found.value > 1.5 * (np.quantile(means, 0.975) - found.value)
    assert found.high - found.value > 1.8 * (found.value - found.low)
    rng, held = np.random.default_rng(4), 0
    for _ in range(300):
        found = mean_of_groups([[x] for x in rng.normal(size=10) ** 2])
        held += found.low <= 1.0 <= found.high
    assert held / 300 > 0.9


def test_a_share_holds_the_truth_near_1_with_few_clusters():
    rng, held = np.random.default_rng(2), 0
    for _ in range(300):
        found = share_of_groups([(rng.random(4) < chance).astype(float) for chance in rng.beta(2.7, 0.3, size=6)])
        held += found.low <= 0.9 <= found.high
    assert held / 300 > 0.93


def test_clusters_of_unlike_sizes_are_worth_fewer():
    clusters = Clusters(np.array([0] * 96 + [1, 2, 3, 4]))
    assert clusters.count == 5
    assert clusters.effective() == pytest.approx(100**2 / (96**2 + 4))
    assert Clusters(np.arange(5)).effective() == pytest.approx(5.0)


def test_the_interval_of_a_calibration_error_can_hold_the_estimate():
    """Draws of an error are larger than it, since each adds noise of its own: their percentiles may all lie above."""
    rng = np.random.default_rng(3)
    gaps, place = rng.normal(scale=0.4, size=300), rng.integers(10, size=300)
    clusters = Clusters(np.arange(300))
    found = clusters.absolute_gap(gaps, place)
    assert 0 <= found.low < found.value < found.high
    values = np.zeros((300, 11))
    values[np.arange(300), place], values[:, 10] = gaps, 1.0
    _, draws = clusters.drawn(lambda sums: np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1], values)
    assert draws.mean() > found.value  # which is why


def test_where_and_correlation():
    clusters = Clusters(numbered(list("aabbccddee")))
    values, where = np.arange(10.0), np.arange(10) < 4
    assert clusters.mean(values, where) == Estimate(1.5, None, None, 4)
    assert clusters.mean(values).interval is not None
    assert clusters.mean(values, where & ~where).to_json() is None
    assert clusters.correlation(values, -values).value == pytest.approx(-1.0)
    assert clusters.correlation(values, np.ones(10)).value is None


def test_it_imports_neither_torch_nor_django():
    code = "import sys, core.statistics.bootstrap; print({'torch', 'django', 'transformers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_many_clusters_are_put_together():
    values = np.random.default_rng(0).integers(0, 2, 9000).astype(float)
    clusters = Clusters(np.arange(9000))
    assert clusters.times.shape == (1000, 2000)
    found = clusters.mean(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / 9000**0.5, rel=0.15)
    assert found.low < found.value < found.high


def test_copies_of_rows_in_their_cluster_make_nobody_surer():
    values = np.random.default_rng(0).normal(size=8)
    few = Clusters(np.arange(8)).mean(values)
    many = Clusters(np.repeat(np.arange(8), 1000)).mean(np.repeat(values, 1000))
    assert many.interval == pytest.approx(few.interval)


def test_the_interval_of_a_correlation_covers_it():
    x = np.random.default_rng(0).normal(size=(200, 2))
    found = Clusters(np.arange(200)).correlation(x[:, 0], x[:, 0] + x[:, 1])
    assert found.value == pytest.approx(np.corrcoef(x[:, 0], x.sum(axis=1))[0, 1])
    assert found.low < found.value < found.high
