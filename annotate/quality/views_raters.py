"""The pages about single raters."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from annotate.audit.models import Action
from annotate.audit.operations import record
from annotate.exchange.tables import Table, csv_lines
from annotate.judgements.selection import KINDS, JudgementSelection
from annotate.judgements.selection_form import requested_selection
from annotate.members.access import managed_study
from annotate.members.models import Membership
from annotate.quality.evidence import Evidence
from annotate.quality.habits import RaterRow, rows
from annotate.quality.one_rater import figures, report
from annotate.quality.reliability import Reliability, reliability
from annotate.quality.views_quality import evidence_for

A_PAGE = 50
COLUMNS = {
    "rater": "text",
    "answers": "int",
    **dict.fromkeys(("agreement", "alpha", "alpha_low", "alpha_high"), "float"),
    **dict.fromkeys(("prefers_first", "prefers_longer", "seconds", "too_fast"), "float"),
}


def raters(request: HttpRequest, slug: str) -> HttpResponse:
    """Every rater with votes in the study, the busiest first."""
    study = managed_study(request, slug)
    evidence = evidence_for(request, study)
    table, trust = _table(evidence)
    page = Paginator(table, A_PAGE).get_page(request.GET.get("page"))
    members = Membership.objects.select_related("user").in_bulk([row.rater for row in page])
    context: dict[str, Any] = {
        "study": study,
        "tab": "quality",
        "selection": evidence.selection,
        "page": page,
        "keep": f"{evidence.selection.query}&",
        "rows": [(row, members[row.rater], trust.of(row.rater)) for row in page],
    }
    return render(request, "manage/quality_raters.html", context)


def _table(evidence: Evidence) -> tuple[list[RaterRow], Reliability]:
    table = rows(evidence.comparisons, evidence.given, evidence.longer_first)
    return table, reliability(evidence.comparisons)


def raters_file(request: HttpRequest, slug: str) -> HttpResponse:
    """The table of all raters as CSV, under their pseudonyms."""
    study = managed_study(request, slug)
    table, trust = _table(evidence_for(request, study))
    lines = [
        [
            *(f"r{row.rater}", row.answers, row.agreement, *(trust.of(row.rater) or (None, None, None))),
            *(row.first, row.longer, row.pace, row.fast),
        ]
        for row in table
    ]
    response = HttpResponse(b"".join(csv_lines(Table(COLUMNS, lines))), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-raters.csv"'
    record(study=study, user=request.user, action=Action.EXPORTED, subject="raters.csv")
    return response


def rater(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One rater: a fair summary, habits with intervals, and what results would be without."""
    study = managed_study(request, slug)
    member = get_object_or_404(study.memberships.select_related("user"), pk=pk)
    own = next(who for who, kinds in KINDS.items() if member.kind in kinds)
    evidence = Evidence(study, requested_selection(request, study, default=JudgementSelection(own)))
    found = report(evidence, member)
    context = {
        "study": study,
        "tab": "quality",
        "member": member,
        "selection": evidence.selection,
        "found": found,
        "figures": figures(found),
        "missing": "" if found.habits.answers else _("Not yet, because this rater has judged nothing."),
    }
    return render(request, "manage/quality_rater.html", context)
