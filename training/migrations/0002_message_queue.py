"""The message queue of the default broker: PGMQ's own SQL, installed with the tables (no extension needed)."""

from django.db import migrations
from pgmq.install import get_embedded_install_sql

# The form of send_topic that PGMQ's Python client calls and its SQL lacks: without it, each heartbeat of a worker is an
# error in PostgreSQL's log.
SEND_TOPIC = """
CREATE FUNCTION pgmq.send_topic(routing_key text, msg jsonb, headers jsonb) RETURNS integer LANGUAGE sql AS
$$ SELECT pgmq.send_topic(routing_key, msg, headers, 0) $$
"""


def install(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        # A server that has the extension, or a test database made from a template, has it already.
        cursor.execute("SELECT to_regnamespace('pgmq')")
        if cursor.fetchone()[0] is None:
            cursor.execute(get_embedded_install_sql())
        # A later version of PGMQ may bring it.
        cursor.execute("SELECT to_regprocedure('pgmq.send_topic(text, jsonb, jsonb)')")
        if cursor.fetchone()[0] is None:
            cursor.execute(SEND_TOPIC)


class Migration(migrations.Migration):
    dependencies = [("training", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
