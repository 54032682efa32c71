"""Count failed attempts to sign in, and let the next attempt wait: longer after each failure, never for good.

Attempts are counted before they are checked and taken back when they succeed, so that guesses sent at the same time
count, too. A browser that has signed in to the account before (annotate.sign_in.devices) is counted by itself:
strangers who guess cannot keep the owner out.
"""

import ipaddress
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext

from annotate.models.accounts import User
from annotate.models.sign_in import CounterKind, FailureCounter
from annotate.sign_in.devices import known_device
from core.errors import LimitReached

BUCKETS = 2**20
FIRST_WAIT = 30  # seconds, doubled with each further failure
HALF_LIFE = timedelta(hours=1)
# More failures change nothing: the longest wait is reached before.
MAX_FAILURES = 30
# Counters decay to nothing in this time.
FORGOTTEN_AFTER = timedelta(days=1)


class MustWait(LimitReached):
    """Too many attempts have failed."""

    def __init__(self, seconds: int) -> None:
        minutes = math.ceil(seconds / 60)
        if seconds <= 60:
            words = ngettext(
                "Too many attempts have failed. Try again in %(n)d second.",
                "Too many attempts have failed. Try again in %(n)d seconds.",
                seconds,
            ) % {"n": seconds}
        else:
            words = ngettext(
                "Too many attempts have failed. Try again in %(n)d minute.",
                "Too many attempts have failed. Try again in %(n)d minutes.",
                minutes,
            ) % {"n": minutes}
        super().__init__(words, seconds=seconds)


@dataclass(frozen=True)
class Key:
    kind: str
    bucket: int
    user: int | None = None


@dataclass(frozen=True)
class Attempt:
    """An attempt that was counted: each counter with the end of the wait that it set."""

    counted: Sequence[tuple[Key, datetime | None]] = field(default_factory=tuple)


def bucket_of(kind: str, name: str) -> int:
    digest = salted_hmac("annotate.sign_in.counters", f"{kind}:{name}", algorithm="sha256").digest()
    return int.from_bytes(digest[:4]) % BUCKETS


def key_of(kind: str, name: str, user: int | None = None) -> Key:
    return Key(kind, bucket_of(kind, name), user)


def account_key(username: str) -> Key:
    return key_of(CounterKind.ACCOUNT, username.strip().casefold())


def network_of(address: str) -> str:
    """The network that counts as one attacker: /24 of IPv4, /64 of IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])  # without an IPv6 zone
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 64}", strict=False))


def network_key(request: HttpRequest, kind: str = CounterKind.NETWORK) -> Key:
    return key_of(kind, network_of(get_adapter().get_client_ip(request)))


def count_password(request: HttpRequest, username: str) -> Attempt:
    """Count an attempt with a password. Raises MustWait when it comes too early."""
    for user in User.objects.filter(username__iexact=username.strip()).only("pk"):
        if device := known_device(request, user):
            return count([key_of(CounterKind.DEVICE, device, user.pk)])
    return count([account_key(username), network_key(request)])


def count_second_step(request: HttpRequest, user: User) -> Attempt:
    """Count an attempt with a code of the second step. Raises MustWait when it comes too early."""
    if device := known_device(request, user):
        return count([key_of(CounterKind.DEVICE, device, user.pk)])
    return count([key_of(CounterKind.SECOND_STEP, str(user.pk), user.pk), network_key(request)])


def count(keys: Iterable[Key]) -> Attempt:
    """Count one attempt by each key. Raises MustWait, and counts nothing, when one of them has to wait."""
    keys, now = sorted(keys, key=lambda key: (key.kind, key.bucket)), timezone.now()
    with transaction.atomic():
        rows = [_locked(key) for key in keys]
        if seconds := max(_seconds_left(row, now) for row in rows):
            raise MustWait(seconds)
        for row in rows:
            row.failures = min(_remaining(row, now) + 1, MAX_FAILURES)
            row.failed_at, row.blocked_until = now, _end_of_wait(row, now)
            row.save(update_fields=["failures", "failed_at", "blocked_until"])
    return Attempt([(key, row.blocked_until) for key, row in zip(keys, rows, strict=True)])


def take_back(attempt: Attempt) -> None:
    """The attempt succeeded: it is no failure. A wait that another attempt set meanwhile stays."""
    for key, end in attempt.counted:
        with transaction.atomic():
            row = _locked(key)
            row.failures = max(row.failures - 1, 0)
            if row.blocked_until == end:
                row.blocked_until = None
            row.save(update_fields=["failures", "blocked_until"])


def clear(*, user: User) -> int:
    """Forget the failures of an account: by name, by its devices and at its second step. Returns how many counters."""
    key = account_key(user.get_username())
    by_name = FailureCounter.objects.filter(kind=key.kind, bucket=key.bucket)
    return (by_name | FailureCounter.objects.filter(user=user)).delete()[0]


def delete_forgotten() -> int:
    return FailureCounter.objects.filter(failed_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()[0]


def _locked(key: Key) -> FailureCounter:
    defaults = {"user_id": key.user, "failed_at": timezone.now()}
    rows = FailureCounter.objects.select_for_update()
    return rows.get_or_create(kind=key.kind, bucket=key.bucket, defaults=defaults)[0]


def _seconds_left(row: FailureCounter, now: datetime) -> int:
    return max(0, math.ceil((row.blocked_until - now).total_seconds())) if row.blocked_until else 0


def _remaining(row: FailureCounter, now: datetime) -> int:
    """The failures that still count: half as many after each HALF_LIFE."""
    return round(row.failures * 0.5 ** ((now - row.failed_at) / HALF_LIFE))


def _end_of_wait(row: FailureCounter, now: datetime) -> datetime | None:
    by_network = row.kind in (CounterKind.NETWORK, CounterKind.API)
    free = settings.SIGN_IN_NETWORK_FAILURES if by_network else settings.SIGN_IN_FAILURES
    if row.failures < free:
        return None
    seconds = min(FIRST_WAIT * 2 ** (row.failures - free), settings.SIGN_IN_MAX_WAIT)
    return now + timedelta(seconds=seconds)
