"""A machine beside people, by hand and by simulation."""

import csv
import io

import numpy as np
import pytest

from annotate.analytics.machine_judges.agreement import (
    both_ways,
    calibration,
    cohens_kappa,
    prediction_powered,
    side_pull,
)
from annotate.collection.machine_judgements import machine_rater, store_verdicts
from tests.annotate import nasty
from tests.factories import MembershipFactory


def test_kappa_by_hand():
    # Cohen's table: 20 both a, 5 and 10 apart, 15 both b: (0.7 - 0.5) / (1 - 0.5).
    machine = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    people = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = cohens_kappa(machine, people)
    assert (found.value, found.n) == (pytest.approx(0.4), 50)
    assert 0 < found.low < 0.4 < found.high < 0.7
    assert cohens_kappa(np.ones(3), np.ones(3)).value is None
    assert cohens_kappa(np.zeros(0), np.zeros(0)).value is None


def test_the_pull_of_a_machine_that_always_says_a():
    forward, backward = np.full(10, 0.9), np.full(10, 0.7)
    assert side_pull(forward, backward).value == pytest.approx(0.8)
    assert both_ways(forward, backward).value == 0
    assert both_ways(forward, 1 - backward).value == 1


def test_calibration_by_hand():
    bins, error = calibration(np.array([0.05, 0.95, 0.95]), np.array([0.0, 1.0, 0.5]))
    assert [(b.n, b.people) for b in bins] == [(1, 0.0), (2, 0.75)]
    assert error == pytest.approx((0.05 + 2 * 0.2) / 3)
    assert calibration(np.zeros(0), np.zeros(0)) == ([], None)


def test_the_interval_holds_whatever_the_machine_says():
    rng = np.random.default_rng(0)
    held, widths = {0.0: 0, 0.8: 0}, {0.0: [], 0.8: []}
    for skill in held:
        for _ in range(200):
            truth = (rng.random(2200) < 0.6) * 1.0
            # A machine that is right more or less often, and biased besides.
            output = np.clip(np.where(rng.random(2200) < skill, truth, rng.random(2200)) + 0.2, 0, 1)
            found = prediction_powered(truth[:200], output[:200], output[200:])
            held[skill] += found.low <= 0.6 <= found.high
            widths[skill].append((found.high - found.low) / (found.human.high - found.human.low))
    # 200 intervals of 95 %: fewer than 181 would come once in a thousand.
    assert min(held.values()) >= 181
    assert np.mean(widths[0.8]) < 0.75
    assert 0.9 < np.mean(widths[0.0]) <= 1.02
    assert prediction_powered(np.ones(1), np.ones(1), np.ones(5)) is None


@pytest.mark.django_db
def test_the_page_and_the_files_of_a_machine(client):
    study = nasty.pairs("shop", lambda task, rater, first: float(task % 3 != 0), tasks=30)
    client.force_login(MembershipFactory(study=study, role="owner").user)
    assert "No machine has judged yet" in client.get("/studies/shop/quality/machines/").content.decode()
    assert client.get("/studies/shop/quality/machines.svg").status_code == 404
    machine = machine_rater(study=study, name="=judge")
    for number, task in enumerate(study.tasks.order_by("pk")):
        shown = list(task.places.values_list("response", flat=True))
        store_verdicts(rater=machine, task=task, shown=shown, forward=0.05 + 0.03 * number, backward=0.6)
    page = client.get("/studies/shop/quality/machines/").content.decode()
    assert "30 pairs judged in both orders" in page
    assert "Source:" in page
    rows = list(csv.DictReader(io.StringIO(client.get("/studies/shop/quality/machines.csv").content.decode())))
    assert {row["judge"] for row in rows} == {"'=judge"}
    assert sum(int(row["pairs"]) for row in rows) == 30
    assert client.get("/studies/shop/quality/machines.svg?judge=1").content.startswith(b"<svg")
    for path in ("machines.svg?judge=2", "machines.svg?judge=0", "machines.svg?judge=x", "machines.pdf"):
        assert client.get(f"/studies/shop/quality/{path}").status_code == 404
    # What the machine said is in no figure of people's: 30 tasks, three raters.
    assert "Votes: 90; tasks: 30" in client.get("/studies/shop/standings/").content.decode()
