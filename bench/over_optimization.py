"""How often the guard of rl_finetune stops healthy runs, and how soon it stops those that over-optimise, by simulation.

    python bench/over_optimization.py --json bench/results/over_optimization.json

A held-out prompt's score is its own level (standard deviation 1), the policy's true quality, and the noise of one
sample (standard deviation 1), of which a share is the same at all evaluations since the draws are. The peer is the rule
that Palate had before: two evaluations in a row that lie two standard errors below the best one so far.
"""

import argparse
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from training.engine.rl.sequential_test import has_fallen

PROMPTS = 64  # half of those that a look reads at most
COUNTS = (7, 20, 50, 100)
HEALTHY = {
    "no change": lambda k: 0.0 * k,
    "rises, then flat": lambda k: np.minimum(k, 10) * 0.1,
    "rises for ever": lambda k: 0.05 * k,
}
# The peak is at evaluation 10, 1 above the start; then the true quality falls by so much an evaluation, down to 0.
OVER_OPTIMISED = {f"falls by {fall} an evaluation": fall for fall in (0.02, 0.05, 0.1, 0.2)}


def scores(quality: np.ndarray, shared: float, rng: np.random.Generator) -> np.ndarray:
    """(K, N): a run's scores of its held-out prompts."""
    level = rng.normal(size=PROMPTS) + np.sqrt(shared) * rng.normal(size=PROMPTS)
    return quality[:, None] + level + np.sqrt(1 - shared) * rng.normal(size=(len(quality), PROMPTS))


def before(seen: np.ndarray) -> bool:
    """The rule that there was: two looks below the best of those before them by two standard errors."""
    if len(seen) <= 2:
        return False
    top = seen[:-2][seen[:-2].mean(axis=1).argmax()]
    below = [
        (evaluation - top).mean() < -2 * (evaluation - top).std(ddof=1) / np.sqrt(PROMPTS) for evaluation in seen[-2:]
    ]
    return all(below)


def stops_at(seen: np.ndarray, rule) -> int:
    """The evaluation at which the rule stops the run, counted from 1; 0 for never."""
    return next((k for k in range(2, len(seen) + 1) if rule(seen[:k])), 0)


def now(seen: np.ndarray) -> bool:
    return has_fallen(seen, np.arange(len(seen), dtype=float))  # a reward that always rises


def share(stops: list[int], count: int) -> float:
    return float(np.mean([0 < stop <= count for stop in stops]))


def measure(runs: int, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    rules, k = {"now": now, "before": before}, np.arange(max(COUNTS))
    results: dict = {"false stops": {}, "stops of over-optimised runs": {}}
    for shared in (0.0, 0.5):
        for name, curve in HEALTHY.items():
            stops: dict[str, list[int]] = {rule: [] for rule in rules}
            for _ in range(runs):
                seen = scores(curve(k), shared, rng)
                for rule, decides in rules.items():
                    stops[rule].append(stops_at(seen, decides))
            results["false stops"][f"{name}, {shared:.0%} of the noise shared"] = {
                rule: {str(count): share(of_rule, count) for count in COUNTS} for rule, of_rule in stops.items()
            }
        for name, fall in OVER_OPTIMISED.items():
            quality = np.where(k <= 10, 0.1 * k, np.maximum(0, 1 - fall * (k - 10)))[:50]
            found = [stops_at(scores(quality, shared, rng), now) for _ in range(runs)]
            right = [stop - 11 for stop in found if stop > 11]
            results["stops of over-optimised runs"][f"{name}, {shared:.0%} of the noise shared"] = {
                "by 50 evaluations": share(found, 50),
                "before the peak": share(found, 11),
                "evaluations behind the peak, median": float(np.median(right)) if right else None,
                "true fall by then, median": float(min(1.0, fall * np.median(right))) if right else None,
            }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    result = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}",
        "commit": commit,
        "command": " ".join(["python", *sys.argv]),
        "runs": options.runs,
        "prompts": PROMPTS,
        **measure(options.runs, options.seed),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
