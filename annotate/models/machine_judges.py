from django.db import models
from django.db.models import Q


class MachineVerdict(models.Model):
    """What a machine judge thinks of a pair: the chance that the response shown first is better."""

    judgement = models.OneToOneField("annotate.Judgement", on_delete=models.CASCADE, related_name="verdict")
    first_better = models.FloatField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(first_better__gte=0, first_better__lte=1), name="verdict_is_a_chance")
        ]

    def __str__(self) -> str:
        return f"verdict on {self.judgement_id}"
