import math
from pathlib import Path

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from training.queries import RunQuerySet


class Snapshot(models.Model):
    """An immutable, hashed selection of live judgements that a model was trained on."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="snapshots")
    sha256 = models.CharField(max_length=64)
    judgement_ids = ArrayField(models.BigIntegerField())
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["study", "sha256"], name="snapshot_unique_content")]

    def __str__(self) -> str:
        return f"snapshot {self.sha256[:12]}"


class RunKind(models.TextChoices):
    PRETRAIN = "pretrain", _("pretrain")
    GENERATE = "generate_responses", _("generate responses")
    TRAIN_PREFERENCE = "train_preference", _("train preference model")
    DISTIL = "distil_preference", _("distil preference model")
    EVALUATE = "evaluate_preference", _("evaluate preference model")
    SCORE = "score_responses", _("score responses")
    RL_FINETUNE = "rl_finetune", _("tune the policy")
    NEXT_ROUND = "next_round", _("next round")
    NEXT_TASKS = "next_tasks", _("choose what to judge next")
    SIMULATE = "simulate_raters", _("simulate raters")
    MACHINE_JUDGE = "machine_judge", _("machine judge")
    DEMO = "make_demo", _("make a demo")
    IMPORT_PROMPTS = "import_prompts", _("import prompts")
    IMPORT_JUDGEMENTS = "import_judgements", _("import judgements")
    IMPORT_PREFERENCES = "import_preferences", _("import a file")


class RunState(models.TextChoices):
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


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
    # When the broker last took a message for the run; None: not yet (training.operations.send_waiting_runs).
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
    """A text that the policy wrote while it was tuned; with `before`, beside its start's text to a held-out prompt."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    prompt = models.TextField()
    response = models.TextField(blank=True)
    reward = models.FloatField(null=True)
    before = models.TextField(null=True)
    before_reward = models.FloatField(null=True)
    # Of `before` and `after` the pieces with how much likelier tuning made each (training.engine.policy.changes).
    changes = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["run_id", "step", "id"]

    def __str__(self) -> str:
        return f"sample at step {self.step} of run {self.run_id}"


class ModelKind(models.TextChoices):
    POLICY = "policy", _("policy")
    PREFERENCE = "preference", _("preference model")


class ModelVersion(models.Model):
    """A policy or preference model: a folder that `from_pretrained` opens, or a model hub's name."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="model_versions", null=True)
    kind = models.CharField(max_length=10, choices=ModelKind)
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=1000)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    reward = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="tuned_policies")
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.PROTECT, null=True, blank=True, related_name="model_versions"
    )
    run = models.OneToOneField(Run, on_delete=models.SET_NULL, null=True, blank=True, related_name="model_version")
    metrics = models.JSONField(default=dict, blank=True)
    # Of a preference model: training.engine.report. It carries texts, so lists leave it in the database.
    report = models.JSONField(default=dict, blank=True)
    card = models.TextField(blank=True)
    # A policy is promoted by a person or by a rule that says in words what it asked for; never by its reward.
    promoted_at = models.DateTimeField(null=True, blank=True)
    promoted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="promoted_models"
    )
    promoted_because = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def base(self) -> str:
        """What it was made from when that is no model version: the name of a folder or of a hub; "" for nothing."""
        return short_name(self.run.config.get("base_model", "")) if self.run and not self.parent_id else ""


def short_name(model: str) -> str:
    """A folder's own name, or a hub's name as it is."""
    return Path(model).name if Path(model).is_absolute() else model


class ResponseReward(models.Model):
    """What a preference model thinks of a response. log_odds: the reward calibrated, the natural logarithm of the odds
    against the average response; spread: the standard deviation of the reward over an ensemble's members."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="response_rewards")
    response = models.ForeignKey("annotate.Response", on_delete=models.CASCADE, related_name="rewards")
    reward = models.FloatField()
    log_odds = models.FloatField()
    spread = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["version", "response"], name="response_reward_unique")]

    def __str__(self) -> str:
        return f"reward {self.reward:.3f} of response {self.response_id}"

    @property
    def quality(self) -> float:
        """In (0, 1): the chance to be preferred over the average response."""
        return chance(self.log_odds)

    def chance_over(self, other: "ResponseReward") -> float:
        """In (0, 1): the chance that a rater prefers this response over the other, a tie counting half."""
        return chance(self.log_odds - other.log_odds)


def chance(log_odds: float) -> float:
    """The logistic function, without overflow."""
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, log_odds))))


class Round(models.Model):
    """One turn of the loop in a study: which policy wrote, against which it is judged, which preference
    model it was tuned on."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    policy = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="rounds")
    against = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_against"
    )
    # Above 1 the other side shows the best of so many of its samples by the policy's own preference model.
    best_of = models.PositiveSmallIntegerField(default=1)
    preference = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_rewarded"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study_id", "number"]
        constraints = [models.UniqueConstraint(fields=["study", "number"], name="round_unique_number")]

    def __str__(self) -> str:
        return f"round {self.number}"
