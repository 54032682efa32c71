"""The first page after signing in: the user's studies."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotate.members.queries import may_make_studies, memberships_of, progress_of_all


def studies(request: HttpRequest) -> HttpResponse:
    memberships = list(memberships_of(request.user))
    progress = progress_of_all(memberships)
    rows = [(membership, progress[membership.pk]) for membership in memberships]
    context = {"rows": rows, "may_make_studies": may_make_studies(request.user)}
    return render(request, "studies/list.html", context)
