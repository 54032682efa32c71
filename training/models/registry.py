"""Model versions, the snapshots that they were trained on, and their rewards."""

import math
from pathlib import Path

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from training.models.choices import ModelKind
from training.models.runs import Run


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
    # Of a preference model: training.engine.evaluation.report. It carries texts, so lists leave it in the database.
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
