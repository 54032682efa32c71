from django.db import models


class ConsentVersion(models.Model):
    """What raters of a study agreed to, as it stood from `made_at` on. Versions count from 1 and never change."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="consent_versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study_id", "number"]
        constraints = [models.UniqueConstraint(fields=["study", "number"], name="consent_version_unique")]

    def __str__(self) -> str:
        return f"consent {self.number}"
