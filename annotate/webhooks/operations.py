"""Add webhooks, and announce events to them: an event is stored with its payload and delivered by a worker."""

import secrets
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models.studies import Study
from annotate.models.webhooks import Delivery, Event, Webhook
from annotate.webhooks.sending import resolved
from core import task_queue
from core.encryption import encrypt
from core.errors import PalateError

MAX_HOOKS = 20
DELIVER = "webhooks.deliver"  # the name of the task (annotate.webhooks.tasks)


def add_webhook(*, study: Study, url: str, events: Sequence[str]) -> Webhook:
    """Raises PalateError when the address may not be called or an event does not exist."""
    resolved(url)
    if not events or not set(events) <= set(Event.values):
        raise PalateError(_("events: expected some of %(known)s") % {"known": ", ".join(Event.values)})
    if study.webhooks.count() >= MAX_HOOKS:
        raise PalateError(_("a study has at most %(most)d webhooks") % {"most": MAX_HOOKS})
    secret = encrypt(secrets.token_urlsafe(32))
    return Webhook.objects.create(study=study, url=url, events=sorted(set(events)), secret=secret)


def announce(*, study_id: int, event: str, **payload: Any) -> int:
    """Store the event for every address that wants it, in the caller's transaction, and wake a worker after it.

    Returns how many addresses there are.
    """
    now = timezone.now()
    body = {"event": event, "at": now.isoformat(), **payload}
    hooks = Webhook.objects.filter(study=study_id, events__contains=[event]).values_list("pk", flat=True)
    made = Delivery.objects.bulk_create(Delivery(webhook_id=pk, event=event, payload=body, next_at=now) for pk in hooks)
    if made:
        transaction.on_commit(lambda: task_queue.send_task(DELIVER), robust=True)
    return len(made)
