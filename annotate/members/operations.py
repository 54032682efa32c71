"""Who takes part in a study, and as what."""

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotate.errors import PalateError
from annotate.members.models import Membership, Role
from annotate.studies.models import Study


@transaction.atomic
def add_member(*, study: Study, username: str, role: str, password: str = "") -> Membership:
    """Let a user take part; with a password, an account is made for a name that has none.

    Raises PalateError when there is no such account, the password is weak or the role does not exist.
    """
    if role not in (Role.MANAGER, Role.RATER):
        raise PalateError(_("The role must be manager or rater."))
    user = User.objects.filter(username=username).first()
    if user is None:
        user = _new_account(username, password)
    elif password:
        raise PalateError(_("%(name)s has an account already: leave the password empty.") % {"name": username})
    member, made = Membership.objects.get_or_create(study=study, user=user, defaults={"role": role})
    if not made:
        if member.role == Role.OWNER:
            raise PalateError(_("%(name)s owns this study.") % {"name": username})
        member.role, member.active = role, True
        member.save(update_fields=["role", "active"])
    return member


def _new_account(username: str, password: str) -> User:
    if not password:
        raise PalateError(_("There is no account %(name)s. Give a first password to make one.") % {"name": username})
    user = User(username=username)
    user.set_password(password)
    try:
        validate_password(password, user)
        user.full_clean()
    except ValidationError as error:
        raise PalateError(" ".join(error.messages)) from None
    user.save()
    return user


@transaction.atomic
def remove_member(*, member: Membership) -> None:
    """Take a member out of the study; the judgements stay. Raises PalateError for the owner."""
    if member.role == Role.OWNER:
        raise PalateError(_("The owner cannot be removed."))
    Membership.objects.filter(pk=member.pk).update(active=False)
