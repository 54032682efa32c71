"""A new password for a rater who forgot theirs: by a link from a manager, for accounts need no e-mail address."""

from typing import Any

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from annotate.models.accounts import User
from annotate.models.api import ApiToken
from annotate.models.choices import Role
from annotate.models.members import Membership
from annotate.models.studies import Study
from core.errors import PalateError


class PasswordLinks(PasswordResetTokenGenerator):
    """Links that end with a sign-in, a new password, and any change of what the account may do."""

    key_salt = "annotate.members.passwords"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        parts = sorted(user.memberships.values_list("study_id", "role", "active"))
        may = (user.is_active, user.is_staff, user.is_superuser, parts)
        return f"{super()._make_hash_value(user, timestamp)}{may}"


password_links = PasswordLinks()


class EndTokens:
    """End an account's API tokens with its password, wherever the password is changed: on a page or by a command.

    It stands in AUTH_PASSWORD_VALIDATORS, which Django tells of every new password.
    """

    def validate(self, password: str, user: Any = None) -> None:
        """Every password is fine with this one."""

    def get_help_text(self) -> str:
        return _("Your API tokens end with your old password.")

    def password_changed(self, password: str, user: Any = None) -> None:
        if user is not None and user.pk:
            ApiToken.objects.filter(user=user.pk).delete()


def password_path(*, member: Membership, asked_by: User) -> str:
    """Where the member chooses a new password, once and within PASSWORD_RESET_TIMEOUT; signing in ends it, and so does
    any new role.

    A second step stays. Raises PalateError unless the account was made for this study, is a rater's in every study, and
    `asked_by` manages each of them: whoever opens such a link has the account.
    """
    user = member.user
    if user is None or not user.is_active or not user.has_usable_password():
        raise PalateError(_("%(name)s does not sign in with a password.") % {"name": member})
    if not member.made_account:
        words = _("%(name)s had the account before this study. Whoever runs the server can help: changepassword.")
        raise PalateError(words % {"name": member})
    managed = Study.objects.managed_by(asked_by)
    elsewhere = user.memberships.exclude(role=Role.RATER, study__in=managed)
    if user.is_staff or user.is_superuser or elsewhere.exists():
        words = _("%(name)s is more than a rater of your studies. Whoever runs the server can help: changepassword.")
        raise PalateError(words % {"name": member})
    code = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("password-new", args=[code, password_links.make_token(user)])
