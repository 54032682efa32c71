"""How often the 95 % intervals of core.statistics.bootstrap hold the truth, by simulation with 5 to 50 clusters.

    python bench/coverage.py --json bench/results/coverage.json

Clusters are prompts with 1 to 10 observations each, which have the cluster's own level in common. The peer is the plain
percentile interval of the same draws, which reports and cards had before.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.statistics.bootstrap import Clusters, Estimate, ratio

CLUSTERS = (5, 7, 10, 20, 50)
Sample = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def shares(mean: float, alike: float) -> Sample:
    """Hits whose chance differs by cluster with a correlation `alike` within clusters (beta-binomial)."""
    strength = 1 / alike - 1

    def sample(cluster: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        chance = rng.beta(mean * strength, (1 - mean) * strength, size=cluster.max() + 1)
        return (rng.random(len(cluster)) < chance[cluster]) * 1.0

    return sample


def normal(cluster: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=cluster.max() + 1)[cluster] + rng.normal(size=len(cluster))


def log_losses(cluster: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of predictions that are mostly right; how hard they are differs by cluster and by observation."""
    log_odds = 1.0 + rng.normal(size=cluster.max() + 1)[cluster] + rng.normal(size=len(cluster))
    return np.logaddexp(0, -log_odds)


def skewed(cluster: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Squares of normal numbers, a part of which the cluster has in common: as skewed as it gets."""
    return (0.7 * rng.normal(size=cluster.max() + 1)[cluster] + 0.7 * rng.normal(size=len(cluster))) ** 2


SHARES = {f"share {mean}, correlation {alike}": (mean, alike) for mean in (0.5, 0.7, 0.9) for alike in (0.05, 0.3, 0.7)}
CASES: dict[str, tuple[Sample, float, bool]] = {
    **{name: (shares(*case), case[0], True) for name, case in SHARES.items()},
    "normal mean": (normal, 0.0, False),
    "mean log loss": (log_losses, float(log_losses(np.arange(4_000_000), np.random.default_rng(0)).mean()), False),
    "mean of squares": (skewed, 0.98, False),
}


def percentile(clusters: Clusters, values: np.ndarray) -> tuple[float, float]:
    _, draws = clusters.drawn(ratio, np.stack([values, np.ones(len(values))], axis=1))
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def measure(runs: int, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    results: dict = {}
    for name, (sample, truth, is_share) in CASES.items():
        for count in CLUSTERS:
            held, before, width = 0, 0, 0.0
            for _ in range(runs):
                cluster = np.repeat(np.arange(count), rng.integers(1, 11, size=count))
                values = sample(cluster, rng)
                clusters = Clusters(cluster, seed=int(rng.integers(1000)))
                found: Estimate = clusters.share(values) if is_share else clusters.mean(values)
                assert found.low is not None
                assert found.high is not None
                held += found.low <= truth <= found.high
                width += (found.high - found.low) / runs
                low, high = percentile(clusters, values)
                before += low <= truth <= high
            results.setdefault(name, {})[str(count)] = {
                "coverage": round(held / runs, 4), "percentile": round(before / runs, 4), "width": round(width, 3),
            }  # fmt: skip
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
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
        **measure(options.runs, options.seed),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
