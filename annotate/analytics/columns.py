"""Judgements as columns of numbers: a million of them reach numpy without a Python object each.

PostgreSQL gathers each column into an array and sends it in its binary form: a head, and then for each element its
width and its value.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from annotate.analytics.comparisons import Answers, Comparisons
from annotate.models.judgement_queries import JudgementQuerySet

# An array's dimensions, flags, type, size and first index.
HEAD = 20

COMPARISONS = """
SELECT judgement, task, prompt, rater::int8, shown[a], shown[b],
       (sign(ranks[b] - ranks[a]) + 1)::float8 / 2, cardinality(shown)::int8,
       extract(epoch FROM at)::float8, coalesce(seconds, 'NaN')::float8, order_known::int::int8
FROM ({selected}) v(judgement, task, prompt, rater, shown, ranks, at, seconds, order_known),
     generate_subscripts(shown, 1) a, generate_subscripts(shown, 1) b
WHERE ranks IS NOT NULL AND a < b
"""

RANKS = """
SELECT judgement, task, prompt, rater::int8, response, place - 1, cardinality(shown)::int8,
       (-ranks[place])::float8, extract(epoch FROM at)::float8, order_known::int::int8
FROM ({selected}) v(judgement, task, prompt, rater, shown, ranks, at, order_known),
     unnest(shown) WITH ORDINALITY AS s(response, place)
WHERE ranks IS NOT NULL
ORDER BY judgement, place
"""

# One row a response shown, one column a criterion: seven criteria cost hardly more than one.
SCORES = """
SELECT judgement, task, prompt, rater::int8, response, place - 1, cardinality(shown)::int8,
       extract(epoch FROM at)::float8, order_known::int::int8, {values}
FROM ({selected}) v(judgement, task, prompt, rater, shown, scores, at, order_known),
     unnest(shown) WITH ORDINALITY AS s(response, place)
WHERE scores <> '{{}}'
"""
VALUE = "coalesce((scores -> %s ->> (place - 1)::int)::float8, 'NaN')"

# One row a response shown: what was said of it, by rank or else by one criterion.
GIVEN = """
SELECT judgement, rater::int8, response, place - 1, extract(epoch FROM at)::float8, coalesce(seconds, 'NaN')::float8,
       coalesce(ranks[place]::float8, (scores -> %s ->> (place - 1)::int)::float8, 'NaN'),
       (order_known OR cardinality(shown) = 1)::int::int8
FROM ({selected}) v(judgement, task, prompt, rater, shown, ranks, scores, at, seconds, order_known),
     unnest(shown) WITH ORDINALITY AS s(response, place)
"""


def columns(sql: str, parameters: tuple[Any, ...], types: str) -> list[NDArray[Any]]:
    """The columns of a query, each int8 or float8 and never NULL. types: "i" or "f" for each column."""
    names = [f"c{number}" for number in range(len(types))]
    sent = ", ".join(f"array_send(array_agg({name}))" for name in names)
    with transaction.atomic(), connection.cursor() as cursor:
        # The planner takes an array for a thousand elements and would compile the query for longer than it runs.
        cursor.execute("SET LOCAL jit = off")
        # Of a study just imported it knows nothing, and would look up each of many judgements one by one, in vain.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(f"SELECT {sent} FROM ({sql}) rows({', '.join(names)})", parameters)  # noqa: S608
        found = cursor.fetchone()
    return [_array(data, kind) for data, kind in zip(found or [], types, strict=True)]


def _array(data: bytes | None, kind: str) -> NDArray[Any]:
    row = np.dtype([("width", ">i4"), ("value", f">{kind}8")])
    return np.frombuffer(data[HEAD:] if data else b"", dtype=row)["value"].astype(f"{kind}8")


def comparisons_of(judgements: JudgementQuerySet) -> Comparisons:
    """Every two responses that these judgements rank."""
    selected, parameters = _selected(judgements, "shown", "ranks", "made_at", "seconds", "order_known")
    return Comparisons(*columns(COMPARISONS.format(selected=selected), parameters, "iiiiiififfi"))


def ranks_of(judgements: JudgementQuerySet) -> Answers:
    """The ranks in these judgements, their sign turned so that higher is better."""
    selected, parameters = _selected(judgements, "shown", "ranks", "made_at", "order_known")
    return Answers(*columns(RANKS.format(selected=selected), parameters, "iiiiiiiffi"))


def scores_of(judgements: JudgementQuerySet, criterion: str) -> Answers:
    """The scores by one criterion in these judgements."""
    return scores_by(judgements, [criterion])[criterion]


def scores_by(judgements: JudgementQuerySet, criteria: Sequence[str]) -> dict[str, Answers]:
    """The scores by each of these criteria, in one read."""
    if not criteria:
        return {}
    selected, parameters = _selected(judgements, "shown", "scores", "made_at", "order_known")
    sql = SCORES.format(selected=selected, values=", ".join([VALUE] * len(criteria)))
    found = columns(sql, (*criteria, *parameters), "iiiiiiifi" + "f" * len(criteria))
    order = np.lexsort((found[5], found[0]))
    *places, at, known = (column[order] for column in found[:9])
    answers = {}
    for key, column in zip(criteria, found[9:], strict=True):
        given = np.isfinite(value := column[order])
        answers[key] = Answers(*(of[given] for of in (*places, value, at, known)))
    return answers


def given_of(judgements: JudgementQuerySet, criterion: str) -> list[NDArray[Any]]:
    """Columns, one row a response shown, in the order of judgement and place: judgement, rater, response, place, at
    and seconds as for Comparisons, the rank, or else the score by this criterion, NaN for neither, and whether the
    place is known, 1 or 0."""
    selected, parameters = _selected(judgements, "shown", "ranks", "scores", "made_at", "seconds", "order_known")
    found = columns(GIVEN.format(selected=selected), (criterion, *parameters), "iiiifffi")
    order = np.lexsort((found[3], found[0]))
    return [column[order] for column in found]


def _selected(judgements: JudgementQuerySet, *names: str) -> tuple[str, tuple[Any, ...]]:
    chosen = judgements.order_by().values_list("pk", "task", "task__prompt", "rater", *names)
    return chosen.query.sql_with_params()
