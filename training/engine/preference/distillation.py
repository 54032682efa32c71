"""Distillation: a small model learns the rewards of a large one (Hinton et al. 2015).

Hinton et al. match softened class probabilities. A reward is a single number, so the standardized reward itself is
matched by squared error: the teacher acts as a rater who scores every text (training.engine.objectives.scores).
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.records import Record
from training.engine.data.observations import Group, Item, Score
from training.engine.models.reward import OVERALL, PreferenceModel, Settings
from training.engine.preference.training import PreferenceConfig, calibrate, checked, fit_model
from training.engine.runtime.progress import Reporter, SilentReporter, advance

KINDS = ("linear", "cnn", "rnn")
BATCH_SIZE = 256


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
    result = fit_model(*groups, "", settings, config, reporter)
    student, (state,) = result.model, result.states
    calibrate(student, pairs, result.out_of_fold)
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


def _scored(teacher: PreferenceModel, items: Sequence[Item], reporter: Reporter) -> list[float]:
    reporter.log(f"the teacher scores {len(items)} texts")
    rewards: list[float] = []
    for start in range(0, len(items), BATCH_SIZE):
        rewards += teacher.score(items[start : start + BATCH_SIZE])
        advance(reporter, len(rewards), len(items))
    return rewards


def _groups(items: Sequence[Item], rewards: Sequence[float]) -> list[Group]:
    """Group the items by prompt, each with the teacher's reward as its only score."""
    groups: dict[str, Group] = {}
    for item, reward in dict(zip(items, rewards, strict=True)).items():
        group = groups.setdefault(item[0], Group())
        group.items.append(item)
        group.scores.append(Score(item, OVERALL, "teacher", reward, 1.0))
    return list(groups.values())
