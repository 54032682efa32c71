"""The first page of a study: its progress, its judgements, its rounds and its runs."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotate.analytics.agreement.pairwise import agreement
from annotate.analytics.agreement.self_consistency import self_consistency
from annotate.analytics.reports.progress import counts_of, judgements_by_day, progress_of_study
from annotate.analytics.reports.study_data import StudyData
from annotate.web.access import managed_study
from annotate.web.selection_form import requested_selection
from core.charts.lines import bars
from training.rounds.win_rate import win_rates


def overview(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    selection = requested_selection(request, study)
    days = judgements_by_day(study, selection)
    rounds = list(study.rounds.select_related("policy", "against").order_by("-number")[:10])
    rates = win_rates(rounds, selection)
    context = {
        "study": study,
        "tab": "overview",
        "progress": progress_of_study(study),
        "days": days,
        "chart": bars([day.judgements for day in days]),
        "selection": selection,
        "counts": counts_of(study, selection),
        "agreement": agreement(StudyData(study, selection).comparisons),
        "consistency": self_consistency(study, selection),
        "rounds": [(round_, rates[round_.pk]) for round_ in rounds],
        "runs": study.runs.all()[:5],
    }
    return render(request, "manage/overview.html", context)
