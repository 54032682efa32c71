from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    READ = "read", _("read studies, prompts, responses, runs and models")
    WRITE = "write", _("make and change studies, add prompts, responses and judgements, set webhooks")
    EXPORT = "export", _("read and export judgements")
    RUNS = "runs", _("start and cancel runs")


class ApiToken(models.Model):
    """A key with which a program acts for a user, within scopes and until a day. Only its hash is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    start = models.CharField(max_length=16, help_text=_("The first characters, to tell tokens apart."))
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "API tokens"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"


class IdempotencyKey(models.Model):
    """A request that was carried out, and its answer: sent again with the same key, it gets the same answer."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=100)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once_a_user")]

    def __str__(self) -> str:
        return self.key
