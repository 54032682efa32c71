from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    # The scan of a large table then holds no lock that keeps raters' answers out.
    atomic = False

    dependencies = [("annotate", "0014_what_was_judged_stays")]

    operations = [
        AddConstraintNotValid(
            model_name="judgement",
            constraint=models.CheckConstraint(
                condition=models.Q(("seconds__isnull", True), ("seconds__range", (0.0, 10000000.0)), _connector="OR"),
                name="judgement_seconds_in_range",
            ),
        ),
        ValidateConstraint(model_name="judgement", name="judgement_seconds_in_range"),
        migrations.RemoveConstraint(model_name="judgement", name="judgement_seconds_not_negative"),
        AddConstraintNotValid(
            model_name="judgement",
            constraint=models.CheckConstraint(
                condition=models.Q(("part__in", ["vote", "repeat", "adjudication", "rewrite"])),
                name="judgement_part_known",
            ),
        ),
        ValidateConstraint(model_name="judgement", name="judgement_part_known"),
    ]
