"""Deliver the events that are due to their webhooks, with retries."""

from datetime import timedelta
from http.client import HTTPException

from django.db import transaction
from django.utils import timezone
from urllib3.exceptions import HTTPError

from annotate.models.webhooks import Delivery, DeliveryState
from annotate.webhooks.sending import send
from core.errors import PalateError

# Minutes until the next attempt; after the last one a delivery has failed.
PATIENCE = (1, 5, 30, 120, 360, 1440)
# A delivery that is older than this fails with its next attempt.
MAX_AGE = timedelta(days=2)
# Longer than a request may take (sending.SECONDS).
CLAIM = timedelta(minutes=2)


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
