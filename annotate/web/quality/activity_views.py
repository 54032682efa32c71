"""The page on which managers watch the raters at work."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotate.analytics.reports.rater_activity import work_of
from annotate.web.access import managed_study
from core.charts.lines import bars


def work(request: HttpRequest, slug: str) -> HttpResponse:
    """The whole page; its script asks for `?part=1`, the piece that changes."""
    study = managed_study(request, slug)
    now = work_of(study)
    context = {"study": study, "tab": "work", "work": now, "chart": bars([n for _hour, n in now.hours])}
    return render(request, "manage/work_now.html" if request.GET.get("part") else "manage/work.html", context)
