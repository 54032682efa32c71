"""Making, using and ending API tokens."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models.accounts import User
from annotate.models.api import ApiToken, Scope
from core.errors import PalateError

PREFIX = "palate_"
MAX_DAYS = 365
NOTICED_EVERY = timedelta(minutes=1)


def make_token(*, user: User, name: str, scopes: Sequence[str], days: int = 90) -> tuple[ApiToken, str]:
    """The token's row and its text, which is shown this once. Raises PalateError when something does not fit."""
    if not name.strip() or len(name) > 100:
        raise PalateError(_("Give the token a name of at most 100 characters."))
    if not scopes or not set(scopes) <= set(Scope.values):
        raise PalateError(_("Choose at least one of the scopes: %(all)s.") % {"all": ", ".join(Scope.values)})
    if not 1 <= days <= MAX_DAYS:
        raise PalateError(_("A token holds from 1 to %(most)d days.") % {"most": MAX_DAYS})
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        digest=_digest(text),
        start=text[: len(PREFIX) + 4],
        scopes=sorted(set(scopes)),
        expires_at=timezone.now() + timedelta(days=days),
    )
    return token, text


def token_of(text: str) -> ApiToken | None:
    """The token with this text if it holds and its user is active."""
    now = timezone.now()
    found = ApiToken.objects.select_related("user").filter(digest=_digest(text), expires_at__gt=now)
    token = found.filter(user__is_active=True).first()
    if token is not None:
        seldom = Q(last_used_at=None) | Q(last_used_at__lt=now - NOTICED_EVERY)
        ApiToken.objects.filter(seldom, pk=token.pk).update(last_used_at=now)
    return token


def end_token(*, token: ApiToken) -> None:
    token.delete()


def _digest(text: str) -> str:
    # The text has 256 random bits: a plain hash cannot be turned back, and no slow one is needed.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
