"""Who wrote the responses of a study, and how long and how marked up they are; their texts stay in the database."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from django.db.models import F, FloatField, Func, Value
from django.db.models.functions import Cast, Length

from annotate.analytics.comparisons import Floats, Ints
from annotate.models.prompts import Response
from annotate.models.studies import Study

# Marks of Markdown, counted by PostgreSQL: items of lists, headings, stretches in bold.
STYLE = {
    "lists": r"^[ \t]*([-*+]|\d{1,9}[.)])[ \t]+\S",
    "headings": r"^#{1,6}[ \t]+\S",
    "bold": r"(\*\*|__)\S.*?(\*\*|__)",
}


@dataclass(frozen=True)
class Authors:
    """response (R,), ascending: ids; author (R,): numbers of the names; names: one an author; policy: the model
    version of each author, None for imported names."""

    response: Ints
    author: Ints
    names: list[str]
    policy: list[int | None]

    def of(self, responses: Ints) -> Ints:
        """The authors' numbers of these responses."""
        return self.author[np.searchsorted(self.response, responses)]


def authors_of(study: Study) -> Authors:
    rows = list(
        Response.objects.filter(prompt__study=study)
        .order_by("pk")
        .values_list("pk", "author_model", "author_name", "author_model__name")
    )
    keys = {(model, name if model is None else "") for _pk, model, name, _ in rows}
    ordered = sorted(keys, key=lambda key: (key[0] is not None, key[0] or 0, key[1]))
    number = {key: n for n, key in enumerate(ordered)}
    named = {model: name for _pk, model, _name, name in rows if model is not None}
    plain = [name if model is None else named[model] for model, name in ordered]
    often = Counter(plain)
    # Two model versions may have one name.
    names = [
        f"{name} (#{model})" if often[name] > 1 and model is not None else name
        for name, (model, _) in zip(plain, ordered, strict=True)
    ]
    return Authors(
        response=np.array([row[0] for row in rows], np.int64),
        author=np.array([number[m, name if m is None else ""] for _pk, m, name, _ in rows], np.int64),
        names=names,
        policy=[model for model, _name in ordered],
    )


def lengths_of(study: Study) -> tuple[Ints, Floats]:
    """Response ids, ascending, and their lengths in characters."""
    rows = np.array(
        Response.objects.filter(prompt__study=study).order_by("pk").values_list("pk", Length("text")), np.int64
    ).reshape(-1, 2)
    return rows[:, 0], rows[:, 1].astype(np.float64)


def styles_of(study: Study) -> tuple[Ints, Floats]:
    """Response ids, ascending, and how many marks of each kind in STYLE they have, (R, 3)."""
    marks = [
        Cast(Func(F("text"), Value(pattern), Value(1), Value("n"), function="regexp_count"), FloatField())
        for pattern in STYLE.values()
    ]
    rows = np.array(
        Response.objects.filter(prompt__study=study).order_by("pk").values_list("pk", *marks), np.float64
    ).reshape(-1, 1 + len(STYLE))
    return rows[:, 0].astype(np.int64), rows[:, 1:]
