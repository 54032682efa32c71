"""The page of one's own sessions."""

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from annotate.audit.operations import recorded
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.sign_in.operations import end_sessions


def sessions(request: HttpRequest) -> HttpResponse:
    """Where the account is signed in."""
    own = UserSession.objects.purge_and_list(request.user)
    own.sort(key=lambda session: (not session.is_current(), -session.last_seen_at.timestamp()))
    return render(request, "account/sessions.html", {"sessions": own})


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out of one other session."""
    others = UserSession.objects.filter(user_id=request.user.pk).exclude(session_key=request.session.session_key)
    session = get_object_or_404(others, pk=pk)
    with recorded(study=None, user=request.user, action=Action.SIGNED_OUT, subject="another session"):
        session.end()
    messages.success(request, _("Signed out there."))
    return redirect("sessions")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere else."""
    assert isinstance(request.user, User)
    with recorded(study=None, user=request.user, action=Action.SIGNED_OUT, subject="all other sessions"):
        count = end_sessions(user=request.user, keep=request.session.session_key or "")
    words = ngettext("Signed out of %(n)d other session.", "Signed out of %(n)d other sessions.", count)
    messages.success(request, words % {"n": count})
    return redirect("sessions")
