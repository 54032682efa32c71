"""Why a run ended before its last step: a reason with its figures, which pages tell in their own language."""

from collections.abc import Mapping
from typing import Any

STOPS = {
    "kl_budget": "KL %(seen).2f is above the budget of %(limit)g nats",
    "distinct_floor": "distinct-2 %(seen).3f is below %(limit)g of the start's",
    "over_optimisation": "over-optimisation: the held-out preference model fell while the reward rose",
    "non_finite": "training diverged after step %(step)d: %(seen)s; restored the checkpoint of step %(kept)d",
    "until_quality": "quality %(seen).3f reached %(limit)g",
    "patience": "no better validation loss in %(looks)d looks",
    "not_a_number": "the loss is not a number at step %(step)d (%(prompts)s); the best weights before it are kept",
}


def because(reason: str, **figures: Any) -> dict[str, Any]:
    """figures: what the words of the reason name, such as `seen`, the one that ended the run, and its `limit`."""
    return {"reason": reason, **figures}


def told(stop: Mapping[str, Any]) -> str:
    """In English, for logs and model cards; "" where nothing stopped the run."""
    return STOPS[stop["reason"]] % stop if stop else ""
