"""The pages about single raters."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from annotate.analytics.bias.habits import RaterRow, rows
from annotate.analytics.reliability import Reliability, reliability
from annotate.analytics.reports.rater_report import figures, report
from annotate.analytics.reports.study_data import StudyData
from annotate.audit.operations import record
from annotate.exchange.files.tables import Table, csv_lines
from annotate.models.audit import Action
from annotate.models.members import Membership
from annotate.models.selection import KINDS, JudgementSelection
from annotate.web.access import managed_study
from annotate.web.quality.quality_views import study_data_for
from annotate.web.selection_form import requested_selection
from core.attachments import attachment

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
    evidence = study_data_for(request, study)
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


def _table(evidence: StudyData) -> tuple[list[RaterRow], Reliability]:
    table = rows(evidence.comparisons, evidence.given, evidence.longer_first)
    return table, reliability(evidence.comparisons)


def raters_file(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The table of all raters as CSV, under their pseudonyms."""
    study = managed_study(request, slug)
    table, trust = _table(study_data_for(request, study))
    lines = [
        [
            *(f"r{row.rater}", row.answers, row.agreement, *(trust.of(row.rater) or (None, None, None))),
            *(row.first, row.longer, row.pace, row.fast),
        ]
        for row in table
    ]
    record(study=study, user=request.user, action=Action.EXPORTED, subject="raters.csv")
    return attachment(b"".join(csv_lines(Table(COLUMNS, lines))), f"{study.slug}-raters.csv")


def rater(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One rater: a fair summary, habits with intervals, and what results would be without."""
    study = managed_study(request, slug)
    member = get_object_or_404(study.memberships.select_related("user"), pk=pk)
    own = next(who for who, kinds in KINDS.items() if member.kind in kinds)
    evidence = StudyData(study, requested_selection(request, study, default=JudgementSelection(own)))
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
