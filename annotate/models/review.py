from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class FlagKind(models.TextChoices):
    UNREADABLE = "unreadable", _("It cannot be read")
    UNSAFE = "unsafe", _("It is unsafe")
    PRIVATE = "private", _("It tells private things of a person")


class Flag(models.Model):
    """A rater's report that something is wrong with a task.

    The task is not handed out until a manager decides, unless it has a known answer or the flag is over the limit.
    """

    task = models.ForeignKey("annotate.Task", on_delete=models.CASCADE, related_name="flags")
    # None where Palate itself saw something.
    rater = models.ForeignKey(
        "annotate.Membership", on_delete=models.PROTECT, null=True, blank=True, related_name="flags"
    )
    kind = models.CharField(max_length=12, choices=FlagKind)
    details = models.CharField(max_length=400, blank=True)
    over_limit = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_("Many flags came before it: its task stays in use until the decision."),
    )
    made_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["task"], name="flag_open", condition=Q(resolved_at=None))]

    def __str__(self) -> str:
        return f"{self.kind}: {self.task}"
