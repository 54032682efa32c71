"""The pages about members: who takes part, invitations, and the page that an invitation leads to."""

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.audit.operations import record, recorded
from annotate.collection.gold import reinstate
from annotate.members import operations
from annotate.members.erasure import erase_member
from annotate.members.passwords import password_links, password_path
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.models.choices import Kind
from annotate.models.members import Invitation, Membership
from annotate.models.studies import Study
from annotate.web.access import managed_study
from annotate.web.members.forms import InviteForm, JoinForm, MemberForm, TagsForm
from core.errors import PalateError


def members(request: HttpRequest, slug: str) -> HttpResponse:
    """Everybody who takes part; a POST adds somebody."""
    study = managed_study(request, slug)
    form = MemberForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            with recorded(study=study, user=request.user, action=Action.ADDED, subject="member") as details:
                member = operations.add_member(study=study, **form.cleaned_data)
                details |= {"member": member.pseudonym, "role": member.role}
        except PalateError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("%(name)s takes part now.") % {"name": member})
            return redirect("study-members", slug)
    return _members(request, study, form, InviteForm())


@require_POST
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a link by which raters join."""
    study = managed_study(request, slug)
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _members(request, study, MemberForm(), form)
    with recorded(study=study, user=request.user, action=Action.ADDED, subject="invitation") as details:
        details["invitation"] = operations.invite(study=study, **form.cleaned_data).pk
    messages.success(request, _("The link is below. Whoever has it can join as a rater."))
    return redirect("study-members", slug)


def _members(request: HttpRequest, study: Study, form: MemberForm, invite_form: InviteForm) -> HttpResponse:
    people = study.memberships.filter(kind=Kind.PERSON, active=True).select_related("user")
    invitations = [invitation for invitation in study.invitations.all() if invitation.valid]
    context = {
        "study": study,
        "tab": "members",
        "form": form,
        "invite_form": invite_form,
        "people": people.annotate(count=Count("judgements", filter=Q(judgements__live=True))),
        "invitations": [(i, request.build_absolute_uri(reverse("join", args=[i.token]))) for i in invitations],
        "others": study.memberships.exclude(kind=Kind.PERSON).count(),
    }
    return render(request, "manage/members.html", context, status=422 if form.errors or invite_form.errors else 200)


@require_POST
def withdraw(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    invitation = get_object_or_404(managed_study(request, slug).invitations, pk=pk)
    with recorded(
        study=invitation.study, user=request.user, action=Action.REMOVED, subject="invitation", invitation=invitation.pk
    ):
        operations.withdraw(invitation=invitation)
    messages.success(request, _("The link does not work any more. Who has joined by it stays."))
    return redirect("study-members", slug)


@require_POST
def tags(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    member = _member(request, slug, pk)
    form = TagsForm(request.POST)
    if form.is_valid():
        chosen = form.cleaned_data["tags"]
        with recorded(
            study=member.study,
            user=request.user,
            action=Action.CHANGED,
            subject="tags",
            member=member.pseudonym,
            tags=chosen,
        ):
            operations.set_tags(member=member, tags=chosen)
        messages.success(request, _("Saved."))
    else:
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
    return redirect("study-members", slug)


@require_POST
def reinstate_member(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let a rater go on who was stopped by known answers or the quiz."""
    member = _member(request, slug, pk)
    with recorded(
        study=member.study,
        user=request.user,
        action=Action.CHANGED,
        subject="member reinstated",
        member=member.pseudonym,
    ):
        reinstate(rater=member)
    messages.success(request, _("%(name)s can go on.") % {"name": member})
    return redirect("study-members", slug)


def remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask once more, then take a member out of the study."""
    member = _member(request, slug, pk)
    if request.method != "POST":
        return render(request, "manage/remove.html", {"study": member.study, "tab": "members", "member": member})
    try:
        with recorded(
            study=member.study, user=request.user, action=Action.REMOVED, subject="member", member=member.pseudonym
        ):
            operations.remove_member(member=member)
    except PalateError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(name)s was removed; the judgements stay.") % {"name": member})
    return redirect("study-members", slug)


def erase(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask once more, then cut a person off from the judgements."""
    member = _member(request, slug, pk)
    if request.method == "POST":
        try:
            with recorded(
                study=member.study, user=request.user, action=Action.ERASED, subject="member", member=member.pseudonym
            ):
                erase_member(member=member)
        except PalateError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("Erased. The judgements stay under a pseudonym."))
        return redirect("study-members", slug)
    return render(request, "manage/erase.html", {"study": member.study, "tab": "members", "member": member})


@require_POST
def password_link(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """A link, shown once, by which a rater who forgot the password chooses another."""
    member = _member(request, slug, pk)
    assert isinstance(request.user, User)  # whoever manages a study is signed in
    try:
        address = request.build_absolute_uri(password_path(member=member, asked_by=request.user))
    except PalateError as error:
        messages.error(request, str(error))
        return redirect("study-members", slug)
    record(study=member.study, user=request.user, action=Action.ADDED, subject="password link", member=member.pseudonym)
    context = {"study": member.study, "tab": "members", "member": member, "address": address}
    return render(request, "manage/password_link.html", context)


class NewPassword(PasswordResetConfirmView):
    """Where such a link leads. It signs nobody in: a second step is asked for as always."""

    template_name = "registration/new_password.html"
    success_url = reverse_lazy("account_login")
    token_generator = password_links

    def form_valid(self, form: "SetPasswordForm[User]") -> HttpResponse:
        messages.success(self.request, _("Your new password counts now. Sign in with it."))
        record(study=None, user=form.user, action=Action.CHANGED, subject="password", by="link")
        # Strangers who guess at the same time do not keep the owner of the link out.
        self.request.known_device_of = form.user  # type: ignore[attr-defined]
        return super().form_valid(form)


def _member(request: HttpRequest, slug: str, pk: int) -> Membership:
    people = managed_study(request, slug).memberships.filter(kind=Kind.PERSON, active=True)
    return get_object_or_404(people.select_related("user", "study"), pk=pk)


def account(request: HttpRequest) -> HttpResponse:
    """One's own account: password, second step, tokens."""
    return render(request, "account/account.html", {"second_step": is_mfa_enabled(request.user)})


@login_not_required
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Where an invitation leads: join with the account that is signed in, or with a new one."""
    invitation = get_object_or_404(Invitation.objects.select_related("study"), token=token)
    user = request.user if isinstance(request.user, User) else None
    form = JoinForm(request.POST if request.method == "POST" and not user else None)
    problem = "" if invitation.valid else _("This invitation has expired. Ask for a new one.")
    if request.method == "POST" and not problem and (user or form.is_valid()):
        try:
            with transaction.atomic():
                if user:
                    operations.join(invitation=invitation, user=user)
                else:
                    user = operations.join_with_new_account(invitation=invitation, **form.cleaned_data)
                record(
                    study=invitation.study,
                    user=user,
                    action=Action.ADDED,
                    subject="member by invitation",
                    invitation=invitation.pk,
                )
            if not request.user.is_authenticated:
                login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        except PalateError as error:
            problem = str(error)
            # The middleware answers with 429 and Retry-After.
            request.must_wait = getattr(error, "seconds", 0)  # type: ignore[attr-defined]
        else:
            return redirect("rate", invitation.study.slug)
    context = {"study": invitation.study, "valid": invitation.valid, "form": form, "problem": problem}
    return render(request, "registration/join.html", context, status=422 if problem or form.errors else 200)
