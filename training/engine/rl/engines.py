"""Who makes the steps of a tuning run: Palate's own loop, or the trainers of TRL, an extra that is pinned to one minor
version (requirements-trl.txt). Imports nothing heavy."""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

ENGINES = ("palate", "trl")
TRL = "1.16"
TRL_ESTIMATORS = {"rloo": "k1", "grpo": "k3"}

# Settings that TRL's trainers do not have, or that mean something else there: what they must be, and why.
_NEEDED: dict[str, tuple[Any, str]] = {
    "kl_target": (0, "TRL keeps beta fixed"),
    "whiten_rewards": (False, "TRL whitens advantages, not rewards"),
    "reward_clip": (0, "TRL clips to fixed values, not to spreads of the start's rewards"),
    "epochs": (1, "a batch of samples is used once, or steps would count something else"),
    "minibatches": (1, "a batch of samples is used once, or steps would count something else"),
    "sampler": ("transformers", "TRL would start a vLLM of its own"),
}


def refusals(settings: Any) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong with it) of what the chosen engine cannot follow, in a PolicyConfig or in a job's
    options, whose names are the same."""
    if settings.engine == "palate":
        return
    if settings.engine not in ENGINES:
        yield "engine", f"must be one of {', '.join(ENGINES)}, not {settings.engine!r}"
        return
    if settings.algorithm not in TRL_ESTIMATORS:
        yield "algorithm", f"must be one of {', '.join(TRL_ESTIMATORS)} with the engine trl, not {settings.algorithm}"
        return
    estimator = TRL_ESTIMATORS[settings.algorithm]
    if settings.kl_estimator not in ("auto", estimator):
        yield "kl_estimator", f"is {estimator} in TRL's {settings.algorithm}, not {settings.kl_estimator}"
    if settings.precision == "bfloat16":
        yield "precision", "must be float32 with the engine trl: TRL would sample in bfloat16, too"
    for name, (needed, why) in _NEEDED.items():
        if getattr(settings, name) != needed:
            yield name, f"must be {needed} with the engine trl: {why}"
    if missing := trl_missing():
        yield "engine", missing


def trl_missing() -> str:
    """What is wrong with the TRL of this environment, "" where it is the version that the engine was written for."""
    try:
        found = metadata.version("trl")
    except metadata.PackageNotFoundError:
        found = ""
    if found.split(".")[:2] == TRL.split("."):
        return ""
    here = f"here is {found}" if found else "there is none here"
    return f"trl needs TRL {TRL}, but {here}: pip install -r requirements-trl.txt"
