"""Which responses are put side by side when a prompt's responses become tasks."""

from collections.abc import Sequence

from annotate.models.prompts import Response
from annotate.models.studies import Method


def response_sets(method: str, responses: Sequence[Sequence[Response]], rank_size: int) -> list[list[Response]]:
    """The response sets of new tasks, from the responses of each prompt. Pairs form a ring through a prompt's
    responses, so that every response is compared and the comparison graph is connected."""
    sets: list[list[Response]] = []
    for row in responses:
        if method == Method.SCORE:
            sets += [[response] for response in row]
        elif method == Method.COMPARE:
            sets += [[row[i], row[(i + 1) % len(row)]] for i in range(len(row) if len(row) > 2 else len(row) - 1)]
        else:
            sets += [list(row[i : i + rank_size]) for i in range(0, len(row) - rank_size + 1, rank_size)]
    return sets
