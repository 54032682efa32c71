"""Rounds of the loop."""

from django.db import models

from training.models.registry import ModelVersion


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
