"""Runs of jobs, with their metric series and samples."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from training.models.choices import RunKind, RunState
from training.models.run_queries import RunQuerySet


class Run(models.Model):
    """One execution of a job (training.jobs). The row is the truth: the broker's message carries only its id."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="runs", null=True)
    kind = models.CharField(max_length=20, choices=RunKind)
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)
    config = models.JSONField(default=dict)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    step = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(default=0)
    log_tail = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)
    # A run that a worker executes is queued again when its heartbeat stops; one in a terminal is not.
    in_worker = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    # When the broker last took a message for the run; None: not yet (training.runs.queue.send_waiting_runs).
    enqueued_at = models.DateTimeField(null=True, blank=True)
    # Of the page that started it: a worker, which serves no page, refuses in it.
    language = models.CharField(max_length=10, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["heartbeat_at"], name="run_running", condition=Q(state=RunState.RUNNING))]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.get_kind_display()})"

    @property
    def percent(self) -> int:
        if self.state == RunState.DONE:
            return 100
        return min(100, round(100 * self.step / self.total_steps)) if self.total_steps else 0

    @property
    def unsent(self) -> bool:
        """Whether the broker has taken no message for a run that waits for a worker."""
        return self.state == RunState.QUEUED and self.in_worker and self.enqueued_at is None

    @property
    def ended(self) -> bool:
        return self.state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


class RunPoint(models.Model):
    """The metrics of one step of a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="points")
    step = models.PositiveIntegerField()
    values = models.JSONField()

    class Meta:
        ordering = ["run_id", "step", "id"]
        indexes = [models.Index(fields=["run", "step"])]

    def __str__(self) -> str:
        return f"step {self.step} of run {self.run_id}"


class RunSample(models.Model):
    """A text that the policy wrote while it was tuned; `before` is the initial policy's, to a held-out prompt."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    prompt = models.TextField()
    response = models.TextField(blank=True)
    reward = models.FloatField(null=True)
    before = models.TextField(null=True)
    before_reward = models.FloatField(null=True)
    # Of `before` and `after` the pieces with how much likelier tuning made each (training.engine.rl.token_changes).
    changes = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["run_id", "step", "id"]

    def __str__(self) -> str:
        return f"sample at step {self.step} of run {self.run_id}"
