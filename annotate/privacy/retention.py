"""What is deleted when its time has come: daily by the scheduler, or by `manage.py apply_retention`."""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import F
from django.utils import timezone

from annotate.audit.operations import record
from annotate.members.erasure import erase_member
from annotate.models.api import ApiToken, IdempotencyKey
from annotate.models.audit import Action
from annotate.models.choices import Kind, Role
from annotate.models.members import Membership
from annotate.models.webhooks import Delivery, DeliveryState
from annotate.sign_in.counters import delete_forgotten
from annotate.sign_in.encryption import encrypt_plain_secrets
from annotate.sign_in.operations import delete_ended_sessions

# What other apps delete with it, by name; each returns how much it deleted.
RULES: dict[str, Callable[[], int]] = {}


def apply_retention() -> dict[str, int]:
    """Delete what is older than it may be; returns how much of each kind."""
    now = timezone.now()
    old = now - timedelta(days=settings.KEEP_TECHNICAL_DAYS)
    return {
        "raters_erased": _erase_raters(),
        "sessions": Session.objects.filter(expire_date__lt=now).delete()[0],
        "listed_sessions": delete_ended_sessions(),
        "tokens": ApiToken.objects.filter(expires_at__lt=old).delete()[0],
        "idempotency_keys": IdempotencyKey.objects.filter(created_at__lt=now - timedelta(days=2)).delete()[0],
        "deliveries": Delivery.objects.filter(created_at__lt=old).exclude(state=DeliveryState.WAITING).delete()[0],
        "sign_in_counters": delete_forgotten(),
        "secrets_encrypted": encrypt_plain_secrets(),
        **{name: delete() for name, delete in RULES.items()},
    }


def _erase_raters() -> int:
    """Raters of studies that were closed longer ago than the study keeps its raters' names."""
    due = Membership.objects.filter(kind=Kind.PERSON, role=Role.RATER, study__retention_days__isnull=False)
    due = due.filter(study__closed_at__lt=timezone.now() - F("study__retention_days") * timedelta(days=1))
    erased = list(due.select_related("study"))
    for member in erased:
        erase_member(member=member)
        record(study=member.study, user=None, action=Action.ERASED, subject="member", member=member.pseudonym)
    return len(erased)
