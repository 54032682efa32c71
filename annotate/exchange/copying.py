"""Many rows at a time by PostgreSQL's COPY: most time of an insert of thousands goes into making its statement."""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Model


def copy_in(objects: Sequence[Model]) -> None:
    """Store new objects of one model, which get no primary keys here. Constraints and triggers hold as ever."""
    if not objects:
        return
    options = objects[0]._meta
    fields = [field for field in options.concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    statement = f"COPY {quote(options.db_table)} ({columns}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for one in objects:
            copy.write_row([field.get_db_prep_save(field.pre_save(one, True), connection) for field in fields])
