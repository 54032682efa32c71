from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from annotate.models.choices import AssignmentState, ChosenBy, Part, Purpose
from annotate.models.task_queries import AssignmentQuerySet, TaskQuerySet

# Priority of a round's tasks; ordinary ones have 0.
ROUND_PRIORITY = 10


class Task(models.Model):
    """The unit shown to a rater: a prompt and K >= 1 responses (1 score, 2 compare, 3 or more rank)."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="tasks")
    prompt = models.ForeignKey("annotate.Prompt", on_delete=models.CASCADE, related_name="tasks")
    round = models.ForeignKey("training.Round", on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    responses = models.ManyToManyField("annotate.Response", through="TaskResponse", related_name="tasks")
    key = models.CharField(max_length=64, help_text=_("A hash of the responses: one task a set."))
    replication = models.PositiveSmallIntegerField()
    # Slots that are leased or judged. Kept in the transaction that leases, judges or returns a task.
    slots_taken = models.PositiveSmallIntegerField(default=0)
    priority = models.SmallIntegerField(default=0)
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.COLLECT)
    audience = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text=_("Tags that a rater needs, all of them; none for everybody."),
    )
    chosen_by = models.CharField(max_length=12, choices=ChosenBy, blank=True, default="")
    ad_hoc = models.BooleanField(
        default=False, help_text=_("Made by next_tasks: none of the study's own, from which random ones are drawn.")
    )
    withdrawn = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "key"], name="task_unique_responses"),
            models.CheckConstraint(
                condition=Q(slots_taken__lte=F("replication")), name="task_slots_within_replication"
            ),
        ]
        indexes = [
            models.Index(
                F("study"),
                F("priority").desc(),
                F("id"),
                name="task_open",
                condition=Q(slots_taken__lt=F("replication"), withdrawn=False, purpose=Purpose.COLLECT),
            ),
            models.Index(fields=["study", "purpose", "id"], name="task_known", condition=~Q(purpose=Purpose.COLLECT)),
        ]

    def __str__(self) -> str:
        return f"task {self.pk}"


class TaskResponse(models.Model):
    """The place of a response in a task."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="places")
    response = models.ForeignKey("annotate.Response", on_delete=models.CASCADE, related_name="places")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["task_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "response"], name="task_response_once"),
            models.UniqueConstraint(fields=["task", "position"], name="task_position_once"),
        ]

    def __str__(self) -> str:
        return f"task {self.task_id}, place {self.position}"


class Assignment(models.Model):
    """A rater's lease on a task: the order in which the responses were shown, and until when it holds."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="assignments")
    rater = models.ForeignKey("annotate.Membership", on_delete=models.PROTECT, related_name="assignments")
    shown = ArrayField(models.BigIntegerField(), help_text=_("Response ids in the order shown."))
    part = models.CharField(max_length=12, choices=Part, default=Part.VOTE)
    instructions_version = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=AssignmentState, default=AssignmentState.LEASED)
    leased_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    skip_reason = models.CharField(max_length=500, blank=True)
    draft = models.JSONField(null=True, blank=True, help_text=_("An answer begun: form field to value."))

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "rater", "part"], name="assignment_unique_rater"),
            models.CheckConstraint(
                condition=~Q(state=AssignmentState.SKIPPED) | ~Q(skip_reason=""),
                name="assignment_skip_has_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="assignment_leased", condition=Q(state=AssignmentState.LEASED)),
            models.Index(fields=["rater", "state"]),
        ]

    def __str__(self) -> str:
        return f"assignment {self.pk}"
