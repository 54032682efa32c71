from django.conf import settings
from django.db import models


class CounterKind(models.TextChoices):
    """What failed attempts are counted by."""

    ACCOUNT = "account"
    SECOND_STEP = "second"
    DEVICE = "device"
    NETWORK = "network"
    API = "api"


class FailureCounter(models.Model):
    """Failed attempts to sign in, of one account, known device or network.

    `bucket` is a short keyed hash (annotate.sign_in.counters.bucket_of): the table holds no address and no typed name,
    and has at most 2**20 rows of each kind, whatever an attacker tries.
    """

    kind = models.CharField(max_length=8, choices=CounterKind)
    bucket = models.PositiveIntegerField()
    # Of the account's devices and second step, so that a command finds them.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    failures = models.PositiveSmallIntegerField(default=0)
    failed_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "bucket"], name="failure_counter_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.bucket:05x}: {self.failures}"
