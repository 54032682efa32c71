"""A new password for a rater who forgot theirs: by a link from a manager, for accounts need no e-mail address."""

from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from annotate.errors import PalateError
from annotate.members.models import Membership, Role
from annotate.studies.models import Study


def password_path(*, member: Membership, asked_by: User) -> str:
    """Where the member chooses a new password, once and within PASSWORD_RESET_TIMEOUT; signing in ends it, too.

    A second step stays. Raises PalateError unless the account is a rater's in every study, and `asked_by` manages each
    of them: whoever opens such a link has the account.
    """
    user = member.user
    if user is None or not user.is_active or not user.has_usable_password():
        raise PalateError(_("%(name)s does not sign in with a password.") % {"name": member})
    managed = Study.objects.managed_by(asked_by)
    elsewhere = user.memberships.exclude(role=Role.RATER, study__in=managed)
    if user.is_staff or user.is_superuser or elsewhere.exists():
        words = _("%(name)s is more than a rater of your studies. Whoever runs the server can help: changepassword.")
        raise PalateError(words % {"name": member})
    code = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("password-new", args=[code, default_token_generator.make_token(user)])
