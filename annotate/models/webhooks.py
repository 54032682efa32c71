from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.encryption import decrypt


class Event(models.TextChoices):
    JUDGEMENT = "judgement.made", _("a judgement was made or corrected")
    ROUND = "round.begun", _("a round was begun")
    RUN = "run.ended", _("a run has ended")


class Webhook(models.Model):
    """An address that is told of what happens in a study."""

    study = models.ForeignKey("annotate.Study", on_delete=models.CASCADE, related_name="webhooks")
    url = models.URLField(max_length=500)
    # Encrypted (core.encryption): read it as signing_key.
    secret = models.CharField(max_length=500)
    events = ArrayField(models.CharField(max_length=20, choices=Event))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.url

    @property
    def signing_key(self) -> str:
        """The key of the signatures in plain text. Raises PalateError when none of the keys opens the secret."""
        return decrypt(self.secret)


class DeliveryState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("failed")


class Delivery(models.Model):
    """One event on its way to one address, until it was taken or given up."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20, choices=Event)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    answer = models.CharField(max_length=200, blank=True, help_text=_("What the address said last."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["next_at"], name="delivery_due", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"
