"""Telling other systems what happened: events are stored with what they tell of, and delivered by a worker."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from http.client import HTTPException
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from urllib3.exceptions import HTTPError

from annotate.encryption import encrypt
from annotate.errors import PalateError
from annotate.studies.models import Study
from annotate.webhooks.models import Delivery, DeliveryState, Event, Webhook
from annotate.webhooks.sending import resolved, send

# Minutes until the next attempt; after the last one a delivery has failed.
PATIENCE = (1, 5, 30, 120, 360, 1440)
# A delivery that is older than this fails with its next attempt.
MAX_AGE = timedelta(days=2)
# Longer than a request may take (sending.SECONDS).
CLAIM = timedelta(minutes=2)
MOST_HOOKS = 20


def add_webhook(*, study: Study, url: str, events: Sequence[str]) -> Webhook:
    """Raises PalateError when the address may not be called or an event does not exist."""
    resolved(url)
    if not events or not set(events) <= set(Event.values):
        raise PalateError(_("events: expected some of %(known)s") % {"known": ", ".join(Event.values)})
    if study.webhooks.count() >= MOST_HOOKS:
        raise PalateError(_("a study has at most %(most)d webhooks") % {"most": MOST_HOOKS})
    secret = encrypt(secrets.token_urlsafe(32))
    return Webhook.objects.create(study=study, url=url, events=sorted(set(events)), secret=secret)


def announce(*, study_id: int, event: str, **payload: Any) -> int:
    """Store the event for every address that wants it, in the caller's transaction, and wake a worker after it.

    Returns how many addresses there are.
    """
    now = timezone.now()
    told = {"event": event, "at": now.isoformat(), **payload}
    hooks = Webhook.objects.filter(study=study_id, events__contains=[event]).values_list("pk", flat=True)
    made = Delivery.objects.bulk_create(Delivery(webhook_id=pk, event=event, payload=told, next_at=now) for pk in hooks)
    if made:
        from annotate.webhooks.tasks import deliver

        transaction.on_commit(lambda: deliver.delay(), robust=True)
    return len(made)


def deliver_due(*, most: int = 100) -> int:
    """Send what is due; returns how many were taken. Several workers share the work.

    A delivery is claimed in one transaction, sent outside any, and its answer recorded in another: no lock waits for
    the network.
    """
    taken = 0
    for _turn in range(most):
        delivery = _claim()
        if delivery is None:
            return taken
        taken += _attempt(delivery)
    return taken


@transaction.atomic
def _claim() -> Delivery | None:
    """The delivery that is due first, put off for as long as it is being sent: if the worker dies, it is due again."""
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_at__lte=timezone.now())
    delivery = (
        due.select_related("webhook").select_for_update(skip_locked=True, of=("self",)).order_by("next_at").first()
    )
    if delivery:
        delivery.next_at = timezone.now() + CLAIM
        delivery.save(update_fields=["next_at"])
    return delivery


def _attempt(delivery: Delivery) -> bool:
    """Send a claimed delivery and record the answer, unless another worker has claimed it since."""
    hook, claimed = delivery.webhook, Delivery.objects.filter(pk=delivery.pk, next_at=delivery.next_at)
    try:
        status = send(hook.url, hook.signing_key, delivery.event, delivery.pk, delivery.payload)
        delivery.answer, good = f"status {status}", 200 <= status < 300
    # ValueError: an address that cannot be put into a request must not stop the deliveries that wait behind it.
    except (PalateError, HTTPError, HTTPException, OSError, ValueError) as error:
        delivery.answer, good = f"{type(error).__name__}: {error}"[:200], False
    if good:
        delivery.state = DeliveryState.DELIVERED
    elif delivery.attempts >= len(PATIENCE) or timezone.now() - delivery.created_at > MAX_AGE:
        delivery.state = DeliveryState.FAILED
    else:
        delivery.next_at = timezone.now() + timedelta(minutes=PATIENCE[delivery.attempts])
    delivery.attempts += 1
    names = ("answer", "state", "attempts", "next_at")
    claimed.filter(state=DeliveryState.WAITING).update(**{name: getattr(delivery, name) for name in names})
    if not good:
        _postpone_others(delivery)
    return good


def _postpone_others(failed: Delivery) -> None:
    """Let what waits for the same address wait as long as the delivery that just failed, so that an address that does
    not answer costs one attempt and not one for each event. What is too old by then fails."""
    now = timezone.now()
    due = Delivery.objects.filter(webhook=failed.webhook_id, state=DeliveryState.WAITING, next_at__lte=now)
    due.filter(created_at__lt=now - MAX_AGE).update(state=DeliveryState.FAILED, answer=failed.answer)
    due.update(next_at=max(failed.next_at, now + timedelta(minutes=PATIENCE[0])))
