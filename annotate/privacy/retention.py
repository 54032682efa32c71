"""What is deleted when its time has come: daily by the scheduler, or by `manage.py apply_retention`."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import F
from django.utils import timezone

from annotate.api.models import ApiToken, IdempotencyKey
from annotate.audit.models import Action
from annotate.audit.operations import record
from annotate.exchange.stored_uploads import remove_uploads
from annotate.members.erasure import erase_member
from annotate.members.models import Kind, Membership, Role
from annotate.sign_in.counters import delete_forgotten
from annotate.sign_in.encryption import encrypt_plain_secrets
from annotate.sign_in.operations import delete_ended_sessions
from annotate.webhooks.models import Delivery, DeliveryState
from training.models import Run


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
        "uploads": remove_uploads(needed=Run.objects.uploads_needed()),
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
