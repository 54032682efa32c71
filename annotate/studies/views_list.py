"""The first page after signing in: the user's studies."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotate.members.queries import may_make_studies, memberships_of, progress_of


def studies(request: HttpRequest) -> HttpResponse:
    rows = [(membership, progress_of(membership)) for membership in memberships_of(request.user)]
    context = {"rows": rows, "may_make_studies": may_make_studies(request.user)}
    return render(request, "studies/list.html", context)
