"""What replays of rules of choosing say: accuracy by number of judgements, and the judgements that each rule needs.

`active_choice.py` replays. A replay is a list of rounds: (judgements so far, accuracy on clear pairs, log-loss).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def needed(votes: np.ndarray, accuracy: np.ndarray, target: float) -> float:
    """Votes at which the mean accuracy over replays (S, N) first reaches the target, between rounds by log votes."""
    best = np.maximum.accumulate(accuracy.mean(axis=0))
    if best[-1] < target:
        return float("inf")
    n = int(np.argmax(best >= target))
    if n == 0:
        return float(votes[0])
    low, high = best[n - 1], best[n]
    return float(np.exp(np.interp(target, [low, high], np.log(votes[n - 1 : n + 1]))))


def reached(votes: np.ndarray, accuracy: np.ndarray, count: int) -> float:
    """The best mean accuracy over replays (S, N) with so many votes or fewer."""
    best = np.maximum.accumulate(accuracy.mean(axis=0))
    return float(np.interp(np.log(count), np.log(votes), best))


def table(curves: dict[str, dict[str, list[Any]]], targets: Sequence[int]) -> str:
    """Markdown. curves: rule to replay to rounds. targets: numbers of judgements by random choice, whose accuracy is
    asked for. Intervals: 95 %, drawing whole replays, the same for every rule."""
    replays = sorted(set.intersection(*(set(of_rule) for of_rule in curves.values())))
    stacks = {rule: np.array([of_rule[name] for name in replays]) for rule, of_rule in curves.items()}
    votes = stacks["random"][0, :, 0]
    chance = stacks["random"][:, :, 1]
    draws = np.random.default_rng(0).integers(len(replays), size=(2000, len(replays)))
    shown = [n for n in range(len(votes)) if n % 2 or n == len(votes) - 1]
    lines = [
        f"{len(replays)} replays; accuracy on clear pairs that were held out after so many judgements:",
        "",
        "| rule | " + " | ".join(f"{votes[n]:.0f}" for n in shown) + " | log-loss at the end |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for rule, stack in stacks.items():
        cells = [_interval(stack[:, n, 1], draws) for n in shown]
        lines.append(f"| {rule} | " + " | ".join(cells) + f" | {stack[:, -1, 2].mean():.3f} |")
    lines += ["", "| judgements for the accuracy of random choice after | " + " | ".join(map(str, targets)) + " |"]
    lines += ["|---" * (len(targets) + 1) + "|"]
    for rule, stack in stacks.items():
        cells = []
        for target in targets:
            # The accuracy of random choice in the same replays: how hard their groups are is no difference of rules.
            drawn = [needed(votes, stack[rows, :, 1], reached(votes, chance[rows], target)) for rows in draws[:500]]
            low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
            value = needed(votes, stack[:, :, 1], reached(votes, chance, target))
            cells.append(f"{_count(value, votes)} [{_count(low, votes)}, {_count(high, votes)}]")
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    lines += ["", "Accuracy less random choice's, mean over all rounds but the first:", ""]
    for rule, stack in stacks.items():
        if rule != "random":
            gains = (stack[:, 1:, 1] - stacks["random"][:, 1:, 1]).mean(axis=1)
            lines.append(f"- {rule}: {_interval(gains, draws, signed=True)}")
    return "\n".join(lines)


def _count(value: float, votes: np.ndarray) -> str:
    return f"{value:.0f}" if np.isfinite(value) else f"> {votes[-1]:.0f}"


def _interval(values: np.ndarray, draws: np.ndarray, *, signed: bool = False) -> str:
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    form = "{:+.3f}" if signed else "{:.3f}"
    return f"{form.format(values.mean())} [{form.format(low)}, {form.format(high)}]"
