"""Votes of excluded raters count no more: others get their tasks. Leases end by themselves."""

from django.db import migrations

FREE = """
UPDATE annotate_task t SET slots_taken = t.slots_taken - votes.n FROM (
    SELECT a.task_id, count(*) AS n FROM annotate_assignment a JOIN annotate_membership m ON m.id = a.rater_id
    WHERE m.standing = 'excluded' AND a.part = 'vote' AND a.state = 'judged' GROUP BY a.task_id
) votes WHERE votes.task_id = t.id;
"""


class Migration(migrations.Migration):
    dependencies = [("annotate", "0020_limits_of_joining_and_skipping")]
    operations = [migrations.RunSQL(FREE, migrations.RunSQL.noop)]
