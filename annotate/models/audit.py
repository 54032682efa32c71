from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Action(models.TextChoices):
    ADDED = "added", _("added")
    REMOVED = "removed", _("removed")
    DECIDED = "decided", _("decided")
    FLAGGED = "flagged", _("flagged")
    SIGNED_IN = "signed_in", _("signed in")
    SIGNED_OUT = "signed_out", _("signed out")
    EXPORTED = "exported", _("exported")
    IMPORTED = "imported", _("imported")
    CHANGED = "changed", _("changed")
    TRAINED = "trained", _("started a run")
    PROMOTED = "promoted", _("began a round")
    ERASED = "erased", _("erased")


class Entry(models.Model):
    """Who did what and when, in a study or, without one, to an account. Rows are added and never changed, which a
    trigger enforces; they outlive the account."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, null=True, blank=True, related_name="audit")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150, help_text=_("The account's name then, or how it was done."))
    action = models.CharField(max_length=10, choices=Action)
    subject = models.CharField(max_length=200)
    details = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "log entries"
        indexes = [models.Index(fields=["study", "-id"], name="entry_of_study")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject}"

    @property
    def described(self) -> str:
        """The details in one line."""
        lists = {name: ", ".join(map(str, value)) for name, value in self.details.items() if isinstance(value, list)}
        return "; ".join(f"{name}: {value}" for name, value in {**self.details, **lists}.items())
