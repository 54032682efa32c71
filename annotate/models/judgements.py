from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotate.models.choices import Part
from annotate.models.judgement_queries import JudgementQuerySet

# Longer than anybody looks at one task; sums of larger numbers would be no numbers any more.
MAX_SECONDS = 1e7


class Device(models.TextChoices):
    PHONE = "phone", _("phone")
    TABLET = "tablet", _("tablet")
    DESKTOP = "desktop", _("computer")


class Confidence(models.IntegerChoices):
    GUESS = 1, _("a guess")
    FAIRLY = 2, _("fairly sure")
    SURE = 3, _("sure")


class Judgement(models.Model):
    """A rater's answer to a task: ranks and/or scores of the responses shown. Append-only.

    `shown`, `ranks`, `unacceptable` and each list in `scores` run in the order in which the rater saw the
    responses. Ranks are a dense weak order: 1 is best, equal ranks are ties, no rank is left out.
    The database holds these rules itself (migration 0002): a trigger refuses a judgement that does not fit
    its task or a criterion's range, and any change or removal of a judgement that was made.
    """

    task = models.ForeignKey("annotate.Task", on_delete=models.CASCADE, related_name="judgements")
    rater = models.ForeignKey("annotate.Membership", on_delete=models.PROTECT, related_name="judgements")
    part = models.CharField(max_length=12, choices=Part, default=Part.VOTE)
    instructions_version = models.PositiveIntegerField(default=0)
    shown = ArrayField(models.BigIntegerField())
    # False where the source of an import does not say in which order the rater saw the responses.
    order_known = models.BooleanField(default=True, db_default=True)
    ranks = ArrayField(models.PositiveSmallIntegerField(), null=True, blank=True)
    scores = models.JSONField(default=dict, blank=True, help_text=_("Criterion key to one score a response."))
    strength = models.PositiveSmallIntegerField(null=True, blank=True, help_text=_("1 slightly to 3 much better."))
    unacceptable = ArrayField(models.BooleanField(), help_text=_("One flag a response."))
    label = models.CharField(max_length=100, blank=True, help_text=_("Of the study's labels, the prompt's."))
    confidence = models.PositiveSmallIntegerField(null=True, blank=True, choices=Confidence)
    comment = models.TextField(blank=True)
    seconds = models.FloatField(null=True, blank=True)
    device = models.CharField(max_length=10, choices=Device, blank=True)
    # The key that the browser gave this answer: sent again, after a lost connection, it changes nothing.
    submission = models.UUIDField(null=True, blank=True)
    # False once a correction supersedes this judgement; the only thing that ever changes in this table.
    live = models.BooleanField(default=True)
    supersedes = models.OneToOneField(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="superseded_by"
    )
    # Of a rewrite: the answer that it was given with, and with which it falls.
    source = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="rewrites")
    made_at = models.DateTimeField(db_index=True)

    objects = JudgementQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "rater", "part"],
                condition=Q(live=True) & ~Q(part=Part.REPEAT),
                name="judgement_one_live_a_rater",
            ),
            models.UniqueConstraint(fields=["source"], condition=Q(live=True), name="judgement_one_live_rewrite"),
            models.UniqueConstraint(fields=["rater", "submission"], name="judgement_once_a_submission"),
            models.CheckConstraint(condition=Q(ranks__isnull=False) | ~Q(scores={}), name="judgement_says_something"),
            models.CheckConstraint(
                condition=Q(strength__isnull=True)
                | Q(strength__gte=1, strength__lte=3, shown__len=2, ranks__isnull=False),
                name="judgement_strength_of_a_pair",
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__range=(1, 3)) & ~Q(label=""),
                name="judgement_confidence_of_a_label",
            ),
            # To PostgreSQL NaN and infinity are greater than any number.
            models.CheckConstraint(
                condition=Q(seconds__isnull=True) | Q(seconds__range=(0.0, MAX_SECONDS)),
                name="judgement_seconds_in_range",
            ),
            models.CheckConstraint(condition=Q(part__in=Part.values), name="judgement_part_known"),
        ]

    def __str__(self) -> str:
        return f"judgement {self.pk}"
