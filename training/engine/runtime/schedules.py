"""Learning-rate schedules as functions of the step."""

import math


def warmup_cosine(step: int, total: int, warmup_share: float = 0.05, floor: float = 0.05) -> float:
    """Return the factor on the learning rate: linear warm-up, then half a cosine down to `floor`."""
    warmup = max(1, round(total * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    place = (step - warmup) / max(1, total - warmup)
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(1.0, place))) / 2
