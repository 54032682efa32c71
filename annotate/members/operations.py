"""Who takes part in a study, and as what."""

import math
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.collection.permission import locked_rater
from annotate.collection.slots import end_leases
from annotate.models.accounts import User
from annotate.models.choices import Role
from annotate.models.members import MAX_USES, Invitation, Membership
from annotate.models.studies import Study
from core.errors import LimitReached, PalateError


@transaction.atomic
def add_member(*, study: Study, username: str, role: str, password: str = "") -> Membership:
    """Let a user take part; with a password, an account is made for a name that has none.

    Raises PalateError when there is no such account, the password is weak or the role does not exist.
    """
    if role not in (Role.MANAGER, Role.RATER, Role.AUDITOR):
        raise PalateError(_("The role must be manager, rater or auditor."))
    user = User.objects.filter(username=username).first()
    new = user is None
    if user is None:
        user = _new_account(username, password)
    elif password:
        raise PalateError(_("%(name)s has an account already: leave the password empty.") % {"name": username})
    member, made = Membership.objects.get_or_create(
        study=study, user=user, defaults={"role": role, "made_account": new}
    )
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
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:  # made by somebody else since it was checked
        raise PalateError(_("The name %(name)s is taken. Choose another.") % {"name": username}) from None
    return user


@transaction.atomic
def own(*, study: Study, user: User) -> None:
    """Give a study that has no owner this one, as a study that a command made has none.

    Nothing changes when it is theirs already. Raises PalateError when it is somebody else's.
    """
    check_owner(study=study, user=user)
    Membership.objects.update_or_create(study=study, user=user, defaults={"role": Role.OWNER, "active": True})


def check_owner(*, study: Study, user: User) -> None:
    """Raises PalateError when somebody else owns the study."""
    owner = study.memberships.filter(role=Role.OWNER).exclude(user=user).first()
    if owner is not None:
        raise PalateError(_("study %(study)s: %(owner)s owns it already") % {"study": study.slug, "owner": owner})


@transaction.atomic
def remove_member(*, member: Membership) -> None:
    """Take a member out of the study; the judgements stay. Raises PalateError for the owner."""
    if member.role == Role.OWNER:
        raise PalateError(_("The owner cannot be removed."))
    end_leases(locked_rater(member.pk))
    Membership.objects.filter(pk=member.pk).update(active=False)


def invite(
    *, study: Study, days: int, tags: Sequence[str] = (), max_uses: int | None = None, hourly_uses: int | None = None
) -> Invitation:
    """Make a link by which raters join the study for so many days.

    max_uses, hourly_uses: how many people may join by it, and within an hour; None for the usual number. Raises
    PalateError when a number does not fit.
    """
    if not 1 <= days <= 365:
        raise PalateError(_("An invitation holds from 1 to 365 days."))
    given = {"max_uses": max_uses, "hourly_uses": hourly_uses}
    limits = {name: number for name, number in given.items() if number is not None}
    if not all(1 <= number <= MAX_USES for number in limits.values()):
        raise PalateError(_("From 1 to %(most)d people can join by an invitation.") % {"most": MAX_USES})
    return Invitation.objects.create(
        study=study,
        token=secrets.token_urlsafe(24),
        tags=list(tags),
        expires_at=timezone.now() + timedelta(days=days),
        **limits,
    )


@transaction.atomic
def join(*, invitation: Invitation, user: User) -> Membership:
    """Follow an invitation: the user rates in the study from now on. Whoever is a member already stays what they are.

    Raises PalateError when the invitation does not hold any more, LimitReached when too many have joined by it.
    """
    invitation = _open_invitation(invitation)
    if not Membership.objects.filter(study=invitation.study, user=user).exists():
        _check_room(invitation)
    member, made = Membership.objects.get_or_create(
        study=invitation.study,
        user=user,
        defaults={"role": Role.RATER, "tags": invitation.tags, "invitation": invitation},
    )
    if made:
        Invitation.objects.filter(pk=invitation.pk).update(joined=F("joined") + 1)
    elif not member.active:
        raise PalateError(_("You were taken out of this study. Ask the person who runs it."))
    return member


def _open_invitation(invitation: Invitation) -> Invitation:
    """The invitation, locked: those who follow it at the same time take turns."""
    invitation = Invitation.objects.select_for_update(of=("self",)).select_related("study").get(pk=invitation.pk)
    if not invitation.valid:
        raise PalateError(_("This invitation has expired. Ask for a new one."))
    return invitation


def _check_room(invitation: Invitation) -> None:
    if invitation.joined >= invitation.max_uses:
        raise PalateError(_("As many people as it is for have joined by this invitation. Ask for a new one."))
    hour = timedelta(hours=1)
    recent = invitation.members.filter(created_at__gt=timezone.now() - hour).order_by("created_at")
    times = list(recent.values_list("created_at", flat=True)[: invitation.hourly_uses])
    if len(times) >= invitation.hourly_uses:
        seconds = math.ceil((times[0] + hour - timezone.now()).total_seconds())
        words = ngettext(
            "Many people have joined by this invitation just now. Try again in %(n)d minute.",
            "Many people have joined by this invitation just now. Try again in %(n)d minutes.",
            math.ceil(seconds / 60),
        )
        raise LimitReached(words % {"n": math.ceil(seconds / 60)}, seconds=seconds)


@transaction.atomic
def join_with_new_account(*, invitation: Invitation, username: str, password: str) -> User:
    """Make an account for somebody who follows an invitation, and let it take part.

    Raises PalateError when the name is taken, the password is weak or the invitation does not hold any more,
    LimitReached when too many have joined by it.
    """
    _check_room(_open_invitation(invitation))
    if User.objects.filter(username=username).exists():
        words = _("The name %(name)s is taken. Choose another, or sign in if it is yours.")
        raise PalateError(words % {"name": username})
    user = _new_account(username, password)
    member = join(invitation=invitation, user=user)
    member.made_account = True
    member.save(update_fields=["made_account"])
    return user


def withdraw(*, invitation: Invitation) -> None:
    """End an invitation now; who has joined by it stays."""
    Invitation.objects.filter(pk=invitation.pk, expires_at__gt=timezone.now()).update(expires_at=timezone.now())


def set_tags(*, member: Membership, tags: Sequence[str]) -> None:
    """Say which languages, groups and qualifications a member has."""
    if any(len(tag) > 50 for tag in tags):
        raise PalateError(_("A tag may have at most 50 characters."))
    # A person who is erased meanwhile stays erased.
    Membership.objects.filter(pk=member.pk, kind=member.kind).update(tags=sorted(set(tags)))
