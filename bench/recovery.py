"""Do the intervals hold? Simulated raters of known reliability, position bias and group difference, 100 seeds each.

Prints in how many of 100 seeds the 95 % interval holds the truth (93 or more is what is asked), beside the interval
that takes every vote for independent. Then how far the reliabilities are from the truth beside crowd-kit's
OneCoinDawidSkene, in an environment of its own. Purely in memory; no database.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from peers import peers_python

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from annotate.analytics.comparisons import Comparisons
from annotate.analytics.ranking import bradley_terry
from annotate.analytics.ranking.votes import votes_of
from annotate.analytics.reliability import reliability
from core.statistics.bootstrap import Clusters, ratio

SEEDS, TASKS, EACH, RATERS = 100, 300, 5, 40
POSITION, GROUPS = 0.4, (0.65, 0.5)
PEER_SEEDS = 5
PEER = """
import json, sys
import numpy as np, pandas as pd
from crowdkit.aggregation import OneCoinDawidSkene
votes = pd.DataFrame({name: column for name, column in np.load(sys.argv[1] + "/votes.npz").items()})
skills = OneCoinDawidSkene(n_iter=200, tol=1e-9).fit(votes).skills_
json.dump({str(rater): float(skill) for rater, skill in skills.items()}, open(sys.argv[1] + "/skills.json", "w"))
"""


def main() -> None:
    print(f"intervals that hold the truth, of {SEEDS} seeds ({TASKS} tasks, {EACH} of {RATERS} raters each)")
    for answers, words in ((3, "with ties"), (2, "without ties")):
        one, all_raters = zip(*(reliability_holds(seed, answers) for seed in range(SEEDS)), strict=True)
        share = f"all raters of all seeds: {100 * np.mean(all_raters):.1f} %"
        print(f"reliability of one rater      {sum(one):4}   ({words}; {share})")
    sure, plain = zip(*(position_holds(seed) for seed in range(SEEDS)), strict=True)
    print(f"position bias                 {sum(sure):4}   votes taken for independent: {sum(plain)}")
    sure, plain = zip(*(difference_holds(seed) for seed in range(SEEDS)), strict=True)
    print(f"difference of two groups      {sum(sure):4}   votes taken for independent: {sum(plain)}")
    own, peer = np.mean([with_crowd_kit(seed) for seed in range(PEER_SEEDS)], axis=0)
    print(f"error of the reliabilities (root mean square, {PEER_SEEDS} seeds): palate {own:.3f}, crowd-kit {peer:.3f}")


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rater = np.concatenate([rng.permutation(RATERS)[:EACH] for _ in range(TASKS)])
    return np.repeat(np.arange(TASKS), EACH), rater


def comparisons(task, rater, first, outcome) -> Comparisons:
    zero = np.zeros(len(task))
    return Comparisons(
        np.arange(len(task)),
        task,
        task,
        rater,
        2 * task + first,
        2 * task + 1 - first,
        outcome,
        zero + 2,
        zero,
        zero,
        zero + 1,
    )


def crowd(seed: int, answers: int) -> tuple[Comparisons, np.ndarray]:
    """Raters say the truth (a, b or, of three answers, a tie) with a probability of their own, else one of the others;
    the comparisons and those probabilities."""
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0.5, 0.95, RATERS)
    task, rater = drawn(rng)
    truth = rng.integers(answers, size=TASKS)[task]
    right = rng.random(len(task)) < alpha[rater]
    output = np.where(right, truth, (truth + rng.integers(1, answers, len(task))) % answers)
    return comparisons(task, rater, np.zeros(len(task), int), output / (answers - 1)), alpha


def reliability_holds(seed: int, answers: int) -> tuple[bool, float]:
    of, alpha = crowd(seed, answers)
    found = reliability(of)
    held = (found.low <= alpha) & (alpha <= found.high)
    return bool(held[0]), float(held.mean())


def with_crowd_kit(seed: int) -> tuple[float, float]:
    """The root mean square error of the reliabilities: Palate's, crowd-kit's."""
    of, alpha = crowd(seed, 2)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/votes.npz", task=of.task, worker=of.rater, label=of.outcome)
        subprocess.run([peers_python("crowd-kit==1.4.2"), "-c", PEER, folder], check=True)
        skills = json.loads(Path(folder, "skills.json").read_text())
    peer = np.array([skills[str(rater)] for rater in range(RATERS)])
    return tuple(float(np.sqrt(np.mean((value - alpha) ** 2))) for value in (reliability(of).value, peer))


def position_holds(seed: int) -> tuple[bool, bool]:
    """Bradley-Terry votes on 10 authors with a pull to the first place; the votes of a task lean the same way."""
    rng = np.random.default_rng(seed)
    strengths, n = rng.normal(size=10), 10
    task, _rater = drawn(rng)
    a = rng.integers(n, size=TASKS)[task]
    b = (a + rng.integers(1, n, size=TASKS)[task]) % n
    forward = rng.random(len(task)) < 0.5
    left, right = np.where(forward, a, b), np.where(forward, b, a)
    outcome = (rng.random(len(task)) < 1 / (1 + np.exp(-(strengths[left] - strengths[right] + POSITION)))) * 1.0
    held = []
    for cluster in (task, None):
        ones = np.ones((len(task), 1))
        fit = bradley_terry.fit(votes_of(n, left, right, outcome, cluster=cluster, controls=ones, names=("position",)))
        held.append(abs(fit.effects[0] - POSITION) <= 1.96 * fit.spread[-1])
    return bool(held[0]), bool(held[1])


def difference_holds(seed: int) -> tuple[bool, bool]:
    """Two groups of raters prefer one author at different rates; raters of a group differ among themselves."""
    rng = np.random.default_rng(seed)
    group = np.arange(RATERS) % 2
    rate = np.clip(np.array(GROUPS)[group] + rng.normal(0, 0.1, RATERS), 0, 1)
    _task, rater = drawn(rng)
    wins = (rng.random(len(rater)) < rate[rater]) * 1.0
    first = group[rater] == 0
    values = np.stack([wins * first, first, wins * ~first, ~first], axis=1).astype(float)
    held = []
    for cluster in (rater, np.arange(len(rater))):
        found = Clusters(cluster, seed=seed).estimate(
            lambda s: ratio(s[..., :2]) - ratio(s[..., 2:]), values, len(rater)
        )
        held.append(found.low <= GROUPS[0] - GROUPS[1] <= found.high)
    return held[0], held[1]


if __name__ == "__main__":
    main()
