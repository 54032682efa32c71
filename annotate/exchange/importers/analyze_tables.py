"""What PostgreSQL knows of its tables when it plans a query, brought up to date after many rows came at once."""

from django.db import connection, models

from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.prompts import Prompt, Response
from annotate.models.tasks import Task, TaskResponse

FILLED: tuple[type[models.Model], ...] = (Prompt, Response, Membership, Task, TaskResponse, Judgement)
# Fewer new rows are left to autovacuum.
MANY = 1000
# An import looks again when it has brought so many times the rows of its last look.
GROWTH = 4


def analyse(rows: int) -> None:
    """Let PostgreSQL look at the tables that an import fills when it brought MANY rows or more.

    Autovacuum would come within minutes; until then plans are made for empty tables, and a page about the study that
    was just imported takes minutes instead of a second. Within the import's transaction, so that all of it is there;
    as that keeps the locks to its end, another import passes over tables that this one has looked at.
    """
    if rows < MANY:
        return
    tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in FILLED)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE (SKIP_LOCKED) {tables}")


class Growth:
    """How much an import has brought, and how much of it PostgreSQL knows of. With plans for the tables as they were at
    the start, each chunk would read all rows before it: the time of a long import would grow with its square."""

    def __init__(self) -> None:
        self.known = 0

    def to(self, rows: int) -> None:
        """The import has brought so many rows."""
        if rows >= GROWTH * max(self.known, MANY):
            analyse(rows)
            self.known = rows
