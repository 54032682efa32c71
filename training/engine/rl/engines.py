"""The engines of a tuning run: Palate's own loop, or TRL's trainers, an optional dependency pinned to one minor version
(requirements-trl.txt). Imports nothing heavy."""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

ENGINES = ("palate", "trl")
TRL = "1.16"
TRL_ESTIMATORS = {"rloo": "k1", "grpo": "k3"}

# Settings that TRL's trainers lack or interpret differently: their required values, and why.
_REQUIRED: dict[str, tuple[Any, str]] = {
    "kl_target": (0, "TRL keeps beta fixed"),
    "whiten_rewards": (False, "TRL whitens advantages, not rewards"),
    "reward_clip": (0, "TRL clips to fixed values, not to standard deviations of the initial rewards"),
    "num_iterations": (1, "each batch of samples is used once, so that steps count the same"),
    "num_mini_batches": (1, "each batch of samples is used once, so that steps count the same"),
    "sampler": ("transformers", "TRL would start its own vLLM"),
}


def unsupported(settings: Any) -> Iterator[tuple[str, str]]:
    """Yield (setting, message) for what the chosen engine does not support, in a PolicyConfig or a job's options, which
    have the same names."""
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
    for name, (required, why) in _REQUIRED.items():
        if getattr(settings, name) != required:
            yield name, f"must be {required} with the engine trl: {why}"
    if missing := trl_missing():
        yield "engine", missing


def trl_missing() -> str:
    """Return why the TRL of this environment cannot be used, "" where it is the supported version."""
    try:
        version = metadata.version("trl")
    except metadata.PackageNotFoundError:
        version = ""
    if version.split(".")[:2] == TRL.split("."):
        return ""
    installed = f"{version} is installed" if version else "it is not installed"
    return f"trl needs TRL {TRL}, but {installed}: pip install -r requirements-trl.txt"
