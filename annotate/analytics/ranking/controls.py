"""What may move a vote besides who wrote the response: length, style, and the place on the screen.

Length and style enter as the difference of the two responses over their sum, (a - b) / (a + b), which lies between
-1 and 1 whatever the unit (Li, Angelopoulos & Chiang 2024); the place as 1 for the response shown first.
"""

import numpy as np

from annotate.analytics.authors import STYLE, lengths_of, styles_of
from annotate.analytics.comparisons import Comparisons, Floats, Ints
from annotate.models.studies import Study

CONTROLS = ("length", "style", "position")


def controls_of(study: Study, comparisons: Comparisons, chosen: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    """(C, p) controls of the first response over the second, and their p names. A control that never varies is left
    out: it could not be told from anything."""
    columns: list[Floats] = []
    names: list[str] = []
    if "length" in chosen:
        ids, lengths = lengths_of(study)
        columns.append(_relative(ids, lengths, comparisons))
        names.append("length")
    if "style" in chosen:
        ids, marks = styles_of(study)
        columns += [_relative(ids, marks[:, k], comparisons) for k in range(len(STYLE))]
        names += STYLE
    if "position" in chosen:
        columns.append(np.where(comparisons.placed, 1.0, 0.0))
        names.append("position")
    kept = [
        k
        for k, column in enumerate(columns)
        if (column != column[:1]).any() or (names[k] == "position" and column.any())
    ]
    table = np.stack([columns[k] for k in kept], axis=1) if kept else np.zeros((len(comparisons), 0))
    return table, tuple(names[k] for k in kept)


def _relative(ids: Ints, values: Floats, comparisons: Comparisons) -> Floats:
    a = values[np.searchsorted(ids, comparisons.first)]
    b = values[np.searchsorted(ids, comparisons.second)]
    return np.divide(a - b, a + b, out=np.zeros(len(a)), where=a + b > 0)
