"""The form of send_topic that PGMQ's Python client calls and its SQL lacks: without it, each heartbeat of a worker is
an error in PostgreSQL's log."""

from django.db import migrations

SEND_TOPIC = """
CREATE FUNCTION pgmq.send_topic(routing_key text, msg jsonb, headers jsonb) RETURNS integer LANGUAGE sql AS
$$ SELECT pgmq.send_topic(routing_key, msg, headers, 0) $$
"""


def add_send_topic(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        # A later version of PGMQ may bring it.
        cursor.execute("SELECT to_regprocedure('pgmq.send_topic(text, jsonb, jsonb)')")
        if cursor.fetchone()[0] is None:
            cursor.execute(SEND_TOPIC)


class Migration(migrations.Migration):
    dependencies = [("training", "0014_run_outbox")]
    operations = [migrations.RunPython(add_send_topic, migrations.RunPython.noop)]
