"""Why a training ended before its last step: a reason with its figures, which pages show in their own language."""

from collections.abc import Mapping
from typing import Any


def gettext_noop(message: str) -> str:
    """Mark a message for translation; the engine imports no Django."""
    return message


STOPS = {
    "max_kl": gettext_noop("KL %(value).2f exceeds the limit of %(limit)g nats"),
    "distinct_floor": gettext_noop("distinct-2 %(value).3f is below %(limit)g of the initial policy's"),
    "over_optimization": gettext_noop("over-optimization: the held-out preference model fell while the reward rose"),
    "non_finite": gettext_noop(
        "training diverged after step %(step)d: %(value)s; restored the checkpoint of step %(restored)d"
    ),
    "target_quality": gettext_noop("quality %(value).3f reached %(limit)g"),
    "early_stopping": gettext_noop("early stopping: no improvement in %(evaluations)d evaluations"),
    "non_finite_loss": gettext_noop(
        "the loss is not a number at step %(step)d (%(prompts)s); restored the best weights before it"
    ),
}


def make_reason(reason: str, **figures: Any) -> dict[str, Any]:
    """Return a reason with the figures that its sentence names, such as the `value` that ended the run and its
    `limit`."""
    return {"reason": reason, **figures}


def format_reason(stop: Mapping[str, Any]) -> str:
    """Return the English sentence for logs and model cards, "" where nothing stopped the run."""
    return STOPS[stop["reason"]] % stop if stop else ""
