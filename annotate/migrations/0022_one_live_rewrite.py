from django.db import migrations, models
from django.db.models import Q

CREATE = """
CREATE UNIQUE INDEX CONCURRENTLY judgement_one_live_rewrite ON annotate_judgement (source_id) WHERE live;
"""


class Migration(migrations.Migration):
    # A large table takes answers while the index is made.
    atomic = False
    dependencies = [("annotate", "0021_slots_of_excluded_raters")]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(CREATE, "DROP INDEX CONCURRENTLY judgement_one_live_rewrite")],
            [
                migrations.AddConstraint(
                    model_name="judgement",
                    constraint=models.UniqueConstraint(
                        condition=Q(live=True), fields=("source",), name="judgement_one_live_rewrite"
                    ),
                )
            ],
        )
    ]
