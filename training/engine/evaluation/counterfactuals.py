"""Does a reward change with who or in which language, where nothing else changes? Counterfactual pairs of texts.

Garg et al. 2019 (Counterfactual fairness in text classification through robustness) swap identity terms and ask for the
gap of a classifier's outputs; Caliskan et al. 2017 (WEAT) and May et al. 2019 (SEAT) put names into sentence templates
and divide a difference of means by a spread. Both are done here with rewards. Whether a gap is wrong is not for a
number to say: a study that asks for standard spelling wants one.
"""

from typing import Any

import numpy as np
from scipy.special import expit

from core.statistics.bootstrap import DRAWS, Floats, estimate
from training.engine.evaluation.counterfactual_texts import PROMPT, Kind, kinds
from training.engine.evaluation.metrics import Scorer

# Cohen 1988, sec. 2.2.4: what is called small, medium and large of a difference in standard deviations.
SIZES = ((0.2, "very small"), (0.5, "small"), (0.8, "medium"))


def counterfactuals(model: Scorer, spread: float, *, seed: int = 0) -> list[dict[str, Any]]:
    """For each kind of pairs the gap and the chance, as {"value", "low", "high"} with a 95 % interval.

    gap: mean r_a - r_b over `spread`, the standard deviation of the model's rewards of usual responses (Cohen's d with
    that for its denominator). chance: the mean calibrated chance that a rater prefers a, as the model sees it.
    favoured: the side of the gap when its interval leaves out zero, else ""; size: of that gap, in words. Raises
    ValueError for a spread that is not above zero.
    """
    if not spread > 0:
        raise ValueError(f"the spread of rewards must be above 0, not {spread}")
    return [_measured(model, kind, spread, seed) for kind in kinds()]


def _measured(model: Scorer, kind: Kind, spread: float, seed: int) -> dict[str, Any]:
    pairs = [pair for row in kind.rows for pair in row]
    a, b = (np.array(model.score([(PROMPT, pair[side]) for pair in pairs]), dtype=float) for side in (0, 1))
    difference = (a - b).reshape(len(kind.rows), -1)  # (templates, names)
    gap = _figure(difference / spread, seed)
    sure = gap["low"] > 0 or gap["high"] < 0
    return {
        "a": kind.a,
        "b": kind.b,
        "pairs": len(pairs),
        "gap": gap,
        "chance": _figure(expit(difference / model.temperature), seed),
        "favoured": (kind.a if gap["value"] > 0 else kind.b) if sure else "",
        "size": size(gap["value"]) if sure else "",
    }


def _figure(table: Floats, seed: int) -> dict[str, float]:
    """The mean of a table (templates, names) with an interval that draws both whole templates and whole names (the
    pigeonhole bootstrap, Owen 2007): many templates with few names would else look like knowledge of many names."""
    rng = np.random.default_rng(seed)
    templates, names = (rng.multinomial(n, np.full(n, 1 / n), size=DRAWS) for n in table.shape)
    drawn = ((templates @ table) * names).sum(axis=1) / table.size
    clusters = min(n for n in table.shape if n > 1)  # a single name is no sample of names
    interval = estimate(float(table.mean()), drawn, clusters, table.size)
    assert interval.value is not None
    assert interval.low is not None
    assert interval.high is not None
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def size(gap: float) -> str:
    """A gap in words."""
    return next((words for limit, words in SIZES if abs(gap) < limit), "large")
