"""The pages and files of the log: a study's for its managers, an account's for its owner, all of it for superusers."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotate.audit.operations import record
from annotate.exchange.files.tables import Table, csv_lines
from annotate.models.accounts import User
from annotate.models.audit import Action, Entry
from annotate.web.access import managed_study
from core.attachments import attachment

PER_PAGE = 100
COLUMNS = {**dict.fromkeys(("at", "study", "actor", "action", "subject"), "text"), "details": "json"}


@require_safe
def audit(request: HttpRequest, slug: str) -> HttpResponse:
    """Who did what in the study, newest first: `?q=` words, `?action=` what was done."""
    study = managed_study(request, slug)
    context = {"study": study, "tab": "audit", **_page(request, study.audit.all())}
    return render(request, "manage/audit.html", context)


@require_safe
def audit_file(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The same as CSV, with the same search."""
    study = managed_study(request, slug)
    record(study=study, user=request.user, action=Action.EXPORTED, subject="log.csv")
    return _file(f"{study.slug}-log.csv", _matching(request, study.audit.all()))


@require_safe
def account_log(request: HttpRequest) -> HttpResponse:
    """What the account did; for a superuser, what everybody did in all studies."""
    return render(request, "account/log.html", _page(request, _entries_of(request)))


@require_safe
def account_log_file(request: HttpRequest) -> HttpResponseBase:
    record(study=None, user=request.user, action=Action.EXPORTED, subject="log.csv")
    return _file("log.csv", _matching(request, _entries_of(request)))


def _entries_of(request: HttpRequest) -> QuerySet[Entry]:
    entries = Entry.objects.select_related("study")
    if isinstance(request.user, User) and request.user.is_superuser:
        return entries
    return entries.filter(user__username=request.user.get_username())


def _page(request: HttpRequest, entries: QuerySet[Entry]) -> dict[str, Any]:
    asked = {name: request.GET[name][:200] for name in ("q", "action") if request.GET.get(name)}
    return {
        "page": Paginator(_matching(request, entries), PER_PAGE).get_page(request.GET.get("page")),
        "actions": Action.choices,
        "query": asked.get("q", ""),
        "action": asked.get("action", ""),
        "keep": urlencode(asked) + "&" if asked else "",
    }


def _matching(request: HttpRequest, entries: QuerySet[Entry]) -> QuerySet[Entry]:
    if request.GET.get("action") in Action.values:
        entries = entries.filter(action=request.GET["action"])
    for word in request.GET.get("q", "").replace("\0", "")[:200].split():
        entries = entries.alias(text=Cast("details", TextField())).filter(
            Q(actor__icontains=word) | Q(subject__icontains=word) | Q(text__icontains=word)
        )
    return entries


def _file(name: str, entries: QuerySet[Entry]) -> HttpResponseBase:
    return attachment(csv_lines(Table(COLUMNS, _rows(entries.select_related("study")))), name)


def _rows(entries: QuerySet[Entry]) -> Iterator[list[Any]]:
    for entry in entries.iterator(chunk_size=1000):
        study = entry.study.slug if entry.study else ""
        yield [entry.at.isoformat(), study, entry.actor, entry.action, entry.subject, entry.details]
