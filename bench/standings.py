"""A million votes over 200 authors ranked by Bradley-Terry: Palate beside arena-rank and choix, in one run.

Each program gets the same arrays (left, right, outcome) in memory and is asked for strengths; Palate and arena-rank
also for intervals. The peers run in an environment of their own (arena-rank pins another numpy and needs JAX), made
once below a temporary folder. Prints seconds and processor seconds (medians of three; the first run of a JIT apart),
ratios of the latter, which other work on the machine changes little, and the largest difference of strengths, each
relative to their mean. Palate has one thread of linear algebra, as in its web processes; the peers have what they take.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
import numpy as np
from peers import peers_python

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

VOTES, AUTHORS, TASKS, RUNS = 1_000_000, 200, 200_000, 3
PEERS = ("arena-rank==0.1.1", "choix==0.4.1", "pandas")

PEER = """
import json, sys, time
import numpy as np, pandas as pd
folder, runs = sys.argv[1], int(sys.argv[2])
data = np.load(folder + "/votes.npz")
left, right, outcome = data["left"], data["right"], data["outcome"]
n = int(max(left.max(), right.max())) + 1
result = {}

from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset
frame = pd.DataFrame({"model_a": left, "model_b": right, "winner": np.where(outcome == 1, "model_a", "model_b")})
def clock(): return np.array([time.perf_counter(), time.process_time()])
seconds = []
for _ in range(runs + 1):
    started = clock()
    dataset = PairDataset.from_pandas(frame)
    model = BradleyTerry(n, hessian_reg=0.0, ftol=1e-15, gtol=1e-12)
    model.compute_ratings_and_cis(dataset)
    strengths = np.asarray(model.params["ratings"])
    seconds.append(clock() - started)
result["arena-rank"] = {"first": seconds[0].tolist(), "seconds": np.median(seconds[1:], axis=0).tolist(),
                        "strengths": (strengths - strengths.mean()).tolist()}

import choix
seconds = []
for _ in range(runs):
    started = clock()
    won = np.where(outcome == 1, left, right); lost = np.where(outcome == 1, right, left)
    strengths = choix.ilsr_pairwise(n, list(zip(won.tolist(), lost.tolist())), tol=1e-10)
    seconds.append(clock() - started)
result["choix"] = {"first": seconds[0].tolist(), "seconds": np.median(seconds, axis=0).tolist(),
                   "strengths": strengths.tolist()}
json.dump(result, open(folder + "/peers.json", "w"))
"""


def main() -> None:
    from annotate.analytics.ranking import bradley_terry, davidson, rao_kupper
    from annotate.analytics.ranking.votes import votes_of

    left, right, outcome, cluster = simulated()
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/votes.npz", left=left, right=right, outcome=outcome)
        free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        subprocess.run([peers_python(*PEERS), "-c", PEER, folder, str(RUNS)], check=True, env=free)
        peers = json.loads(Path(folder, "peers.json").read_text())
    fit, own = timed(lambda: bradley_terry.fit(votes_of(AUTHORS, left, right, outcome, cluster=cluster)))
    print(f"{VOTES:,} votes, {AUTHORS} authors, {TASKS:,} tasks; Bradley-Terry with intervals (choix: none)")
    print(f"palate      {own[0]:6.2f} s, {own[1]:6.2f} s of processor")
    for name, peer in peers.items():
        gap = np.abs(fit.strengths - np.array(peer["strengths"])).max()
        print(
            f"{name:11} {peer['seconds'][0]:6.2f} s, {peer['seconds'][1]:6.2f} s of processor (first run "
            f"{peer['first'][1]:.2f} s), {peer['seconds'][1] / own[1]:.1f} times palate's; strengths differ by "
            f"{gap:.1e}"
        )
    tied = np.where(np.random.default_rng(1).random(VOTES) < 0.2, 0.5, outcome)
    for model in (davidson, rao_kupper):
        _, spent = timed(lambda model=model: model.fit(votes_of(AUTHORS, left, right, tied, cluster=cluster)))
        print(f"{model.__name__.split('.')[-1]:11} {spent[0]:6.2f} s, {spent[1]:6.2f} s of processor, a fifth of ties")


def timed(work):
    """What it returns, and the medians of RUNS: seconds, and seconds of processor."""
    spent = []
    for _ in range(RUNS):
        started = np.array([time.perf_counter(), time.process_time()])
        result = work()
        spent.append(np.array([time.perf_counter(), time.process_time()]) - started)
    return result, np.median(spent, axis=0)


def simulated():
    rng = np.random.default_rng(0)
    strengths = rng.normal(size=AUTHORS)
    left = rng.integers(AUTHORS, size=VOTES)
    right = (left + rng.integers(1, AUTHORS, size=VOTES)) % AUTHORS
    outcome = (rng.random(VOTES) < 1 / (1 + np.exp(strengths[right] - strengths[left]))).astype(np.float64)
    return left, right, outcome, rng.integers(TASKS, size=VOTES)


if __name__ == "__main__":
    main()
