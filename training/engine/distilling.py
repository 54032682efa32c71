"""Distillation: a small model learns the rewards of a large one, which then need not be read with (Hinton et al. 2015).

Hinton et al. match softened class probabilities. A reward is one number, so here it is matched itself, standardised, by
squared error: the teacher is read as a rater who scores every text on one scale (training.engine.scores).
"""

import math
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from training.engine.bootstrap import Bootstrap, numbered, told
from training.engine.breakdowns import PairTable
from training.engine.observations import Group, Item, Score
from training.engine.preference_training import PreferenceConfig, calibrate, checked, fitted
from training.engine.progress import Reporter, SilentReporter, advance
from training.engine.records import Pair, Record, pairs_of
from training.engine.reward import OVERALL, PreferenceModel, Settings

KINDS = ("linear", "cnn", "rnn")
AT_ONCE = 256
# Texts on which the speed is measured, and how often.
TIMED, ROUNDS = 512, 3


def distil(
    teacher: PreferenceModel,
    train: Sequence[Item],
    validation: Sequence[Item],
    judged: Iterable[Record],
    *,
    output: Path,
    config: PreferenceConfig,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train a student of kind `config.kind` on the teacher's rewards of `train`, keep what fits those of `validation`
    best, calibrate it on `judged` (records of the validation split), save it to `output`.

    The student's reward is in standard deviations of the teacher's over `train`. Returns counts, steps, calibration and
    the loss: half the mean squared error on `validation`, where 0.5 is that of a constant. Raises ValueError when there
    is nothing to learn.
    """
    reporter = reporter or SilentReporter()
    if config.kind not in KINDS:
        raise ValueError(f"kind: a student is {', '.join(KINDS)}, not {config.kind!r}")
    if not train or not validation:
        raise ValueError("distillation needs texts of the train and of the validation split")
    pairs = [pair for group in checked(judged, "validation") for pair in group.pairs]
    rewards = _scored(teacher, [*train, *validation], reporter)
    if math.isclose(min(rewards), max(rewards), abs_tol=1e-9):
        raise ValueError(f"the teacher gives all {len(rewards)} texts the same reward, so there is nothing to learn")
    groups = _groups(train, rewards[: len(train)]), _groups(validation, rewards[len(train) :])
    settings = Settings(max_length=config.max_length, outputs=[OVERALL], weights=[1.0])
    student, (state,), _ = fitted(*groups, "", settings, config, reporter)
    calibrate(student, pairs)
    student.save(output)
    reporter.log(f"temperature {settings.temperature:.2f}, validation loss {state.best:.4f}")
    return {
        "train_texts": len(train),
        "validation_texts": len(validation),
        "validation_pairs": len(pairs),
        "validation_loss": state.best,
        "steps": state.step,
        "members": 1,
        "temperature": settings.temperature,
        "centre": settings.centre,
    }


def compare(
    teacher: PreferenceModel,
    student: PreferenceModel,
    records: Sequence[Record],
    items: Sequence[Item],
    clusters: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """What the student lost and what it won. records: held-out judgements, on which both are judged; items: held-out
    responses, on which their rewards are compared; clusters: the group of prompts of each.

    Figures are {"value", "low", "high"} with a 95 % interval that draws whole groups of prompts, or None without data.
    accuracy_difference is the student's accuracy minus the teacher's on the same pairs.
    """
    pairs = pairs_of(records)
    tables = [_table(model, pairs, seed) for model in (student, teacher)]
    draw = Bootstrap(numbered(clusters), seed=seed)
    rewards = [np.array(model.score(items), dtype=float) for model in (student, teacher)]
    return {
        "pairs": int(tables[0].decided.sum()),
        "responses": len(items),
        "student": _figures(tables[0]),
        "teacher": _figures(tables[1]),
        "accuracy_difference": tables[0].accuracy(tables[0].right - tables[1].right, tables[0].everything),
        "pearson": told(draw.correlation(rewards[0], rewards[1])),
        # Of ranks over all responses; the interval draws them as they are.
        "spearman": told(draw.correlation(rankdata(rewards[0]), rankdata(rewards[1]))),
    }


def speeds(teacher: PreferenceModel, student: PreferenceModel, items: Sequence[Item]) -> dict[str, float]:
    """Responses a second of both, tokenising included, on the same at most TIMED texts: the median of ROUNDS rounds in
    which they take turns."""
    texts = list(dict.fromkeys(items))[:TIMED]
    seconds: dict[str, list[float]] = {"teacher": [], "student": []}
    for model in (teacher, student):
        model.score(texts[:8])
    for _ in range(ROUNDS):
        for name, model in (("teacher", teacher), ("student", student)):
            start = time.perf_counter()
            model.score(texts)
            seconds[name].append(time.perf_counter() - start)
    a_second = {name: len(texts) / statistics.median(found) for name, found in seconds.items()}
    return {"texts": len(texts), **a_second, "ratio": a_second["student"] / a_second["teacher"]}


def _scored(teacher: PreferenceModel, items: Sequence[Item], reporter: Reporter) -> list[float]:
    reporter.log(f"the teacher scores {len(items)} texts")
    rewards: list[float] = []
    for start in range(0, len(items), AT_ONCE):
        rewards += teacher.score(items[start : start + AT_ONCE])
        advance(reporter, len(rewards), len(items))
    return rewards


def _groups(items: Sequence[Item], rewards: Sequence[float]) -> list[Group]:
    """The items by prompt, each with the teacher's reward as its one score."""
    groups: dict[str, Group] = {}
    for item, reward in dict(zip(items, rewards, strict=True)).items():
        group = groups.setdefault(item[0], Group())
        group.items.append(item)
        group.scores.append(Score(item, OVERALL, "teacher", reward, 1.0))
    return list(groups.values())


def _table(model: PreferenceModel, pairs: Sequence[Pair], seed: int) -> PairTable:
    items = list(dict.fromkeys((pair.prompt, text) for pair in pairs for text in (pair.a, pair.b)))
    return PairTable(pairs, dict(zip(items, model.score(items), strict=True)), model.temperature, seed)


def _figures(table: PairTable) -> dict[str, Any]:
    return {
        "accuracy": table.accuracy(table.right, table.everything),
        "log_loss": told(table.draw.mean(table.loss)),
    }
