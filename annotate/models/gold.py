from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class KnownAnswer(models.Model):
    """What an expert says of a task: raters' answers are held against it.

    `ranks` and each list in `scores` run in the order of the task's places (TaskResponse.position). `label` is
    that of the prompt, where the study has labels.
    """

    task = models.OneToOneField("annotate.Task", on_delete=models.CASCADE, related_name="known_answer")
    ranks = ArrayField(models.PositiveSmallIntegerField(), null=True, blank=True)
    scores = models.JSONField(default=dict, blank=True)
    label = models.CharField(max_length=100, blank=True)
    explanation = models.TextField(_("why"), blank=True)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"known answer of {self.task}"
