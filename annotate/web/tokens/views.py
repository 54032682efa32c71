"""The page of one's own API tokens, and for superusers the page of everybody's."""

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from annotate.api import tokens as operations
from annotate.audit.operations import recorded
from annotate.models.accounts import User
from annotate.models.api import ApiToken, Scope
from annotate.models.audit import Action
from core.errors import PalateError

PAGE = 100


class TokenForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("What it is for, such as: nightly export.")
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(
        label=gettext_lazy("Valid for (days)"), min_value=1, max_value=operations.MAX_DAYS, initial=90
    )


def _tokens_of(request: HttpRequest) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user__username=request.user.get_username())


@reauthentication_required(allow_get=True)
def tokens(request: HttpRequest) -> HttpResponse:
    """One's tokens; a POST makes one, whose text is shown in the answer and never again.

    Making one asks for the password again, or for a code, unless that was given a moment ago.
    """
    form = TokenForm(request.POST if request.method == "POST" else None)
    made = ""
    if request.method == "POST" and form.is_valid():
        try:
            user = User.objects.get(username=request.user.get_username())
            with recorded(study=None, user=user, action=Action.ADDED, subject="token") as details:
                token, made = operations.make_token(user=user, **form.cleaned_data)
                details |= {"token": token.pk, "name": token.name, "scopes": token.scopes}
        except PalateError as error:
            form.add_error(None, str(error))
        else:
            form = TokenForm()
    context = {"form": form, "made": made, "tokens": _tokens_of(request)}
    return render(request, "account/tokens.html", context, status=422 if form.errors else 200)


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    _end(request, get_object_or_404(_tokens_of(request), pk=pk))
    messages.success(request, _("The token does not work any more."))
    return redirect("tokens")


def _end(request: HttpRequest, token: ApiToken) -> None:
    with recorded(
        study=None,
        user=request.user,
        action=Action.REMOVED,
        subject="token",
        token=token.pk,
        name=token.name,
        of=token.user.get_username(),
    ):
        operations.end_token(token=token)


def _any_token(request: HttpRequest) -> QuerySet[ApiToken]:
    """Everybody's tokens, for superusers; for others there is no such page."""
    if not (isinstance(request.user, User) and request.user.is_superuser):
        raise Http404
    return ApiToken.objects.select_related("user").order_by("user__username", "pk")


def all_tokens(request: HttpRequest) -> HttpResponse:
    page = Paginator(_any_token(request), PAGE).get_page(request.GET.get("page"))
    return render(request, "account/all_tokens.html", {"page": page})


@require_POST
def end_any(request: HttpRequest, pk: int) -> HttpResponse:
    _end(request, get_object_or_404(_any_token(request), pk=pk))
    messages.success(request, _("The token does not work any more."))
    return redirect("all-tokens")
