"""Runs: the list, starting one, watching one, cancelling one. Nothing here imports torch."""

from collections.abc import Iterable
from dataclasses import replace

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.analytics.ranking.table import RankedItem
from annotate.analytics.ranking.votes_of_study import ranking_input, read, standings_of
from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study
from annotate.web.access import managed_studies, managed_study
from annotate.web.selection_form import requested_selection
from annotate.web.standings.forms import SelectionForm
from annotate.web.standings.views import selection_of
from core.errors import PalateError
from training.jobs import corpora
from training.jobs.start_form import STARTED_HERE, form_for, values_of
from training.models import ModelVersion, Round, Run, RunKind, RunState
from training.rounds.win_rate import win_rates
from training.runs import operations, queue
from training.runs.job import JOBS
from training.runs.options import on_a_page
from training.web import compare_runs, run_labels
from training.web.frontier import comparisons, frontier
from training.web.run_curves import curves

SHOWN_RUNS, SHOWN_SAMPLES, SHOWN_PLACES, SHOWN_OTHERS = 100, 12, 20, 20
UNFOLDED_COMPARISONS = 3


def managed_run(request: HttpRequest, pk: int) -> Run:
    """The run if the user manages its study; otherwise 404."""
    runs = Run.objects.select_related("study", "created_by")
    return get_object_or_404(runs, pk=pk, study__in=managed_studies(request))


def runs(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    context = {
        "study": study,
        "tab": "runs",
        "runs": study.runs.select_related("created_by").defer("log_tail", "result")[:SHOWN_RUNS],
        "jobs": [(kind, kind.label, JOBS[kind].summary) for kind in STARTED_HERE],
    }
    return render(request, "manage/runs.html", context)


def start(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    study = managed_study(request, slug)
    if kind not in STARTED_HERE:
        raise Http404
    first = {"corpus": corpora.suggested(study)} if kind == RunKind.PRETRAIN else None
    form = form_for(study, kind)(request.POST if request.method == "POST" else None, initial=first)
    if request.method == "POST" and form.is_valid():
        try:
            run = operations.queue_run(
                kind=kind, study=study, values=values_of(form.cleaned_data), created_by=request.user
            )
        except PalateError as error:
            form.add_error(None, on_a_page(str(error), JOBS[kind].options))
        else:
            return redirect("run", run.pk)
    context = {"study": study, "tab": "runs", "form": form, "kind": RunKind(kind), "job": JOBS[kind]}
    return render(request, "manage/run_start.html", context, status=422 if form.errors else 200)


def run(request: HttpRequest, pk: int) -> HttpResponse:
    shown = managed_run(request, pk)
    version = getattr(shown, "model_version", None)
    compared = comparisons(shown)
    context = {
        "study": shown.study,
        "tab": "runs",
        "run": shown,
        "stale_cli": Run.objects.stale_cli().filter(pk=shown.pk).exists(),
        "config": run_labels.options(shown),
        "untouched": run_labels.untouched(shown),
        "curves": curves(shown),
        "frontier": frontier(shown),
        "comparisons": compared[:UNFOLDED_COMPARISONS],
        "more_comparisons": compared[UNFOLDED_COMPARISONS:],
        "samples": shown.samples.filter(before=None).order_by("-step", "-id")[:SHOWN_SAMPLES],
        "result": run_labels.results(shown),
        "error": run_labels.error(shown),
        "seconds": (shown.ended_at - shown.started_at).total_seconds() if shown.ended_at and shown.started_at else None,
        "version": version,
        "others": compare_runs.comparable(shown)[:SHOWN_OTHERS],
    }
    if shown.study and (rounds := list(_rounds(version))):
        selection = requested_selection(request, shown.study)
        rates = win_rates(rounds, selection)
        context["rounds"] = [(round_, rates[round_.pk]) for round_ in rounds]
        context |= {"selection": selection, "standings": _standings(shown.study, selection)}
    return render(request, "manage/run.html", context)


def run_compare(request: HttpRequest, pk: int, other: int) -> HttpResponse:
    """Two runs of a kind: what was chosen otherwise, and what came of it."""
    shown = managed_run(request, pk)
    second = get_object_or_404(compare_runs.comparable(shown), pk=other)
    context = {"study": shown.study, "tab": "runs", "both": (shown, second), **compare_runs.compare_runs(shown, second)}
    return render(request, "manage/run_compare.html", context)


def _standings(study: Study, judgements: JudgementSelection) -> list[RankedItem]:
    """All policies and other authors that raters have compared with each other, the best first."""
    selection = replace(selection_of(SelectionForm(None, study=study)), judgements=judgements)
    standings = standings_of(study, selection, ranking_input(study, selection, read(study, selection)))
    return [place for part in standings.parts for place in part.places][:SHOWN_PLACES]


def _rounds(version: ModelVersion | None) -> Iterable[Round]:
    """The rounds in which raters judged the policy that a run made."""
    return version.rounds.select_related("policy", "against") if version else ()


def live(request: HttpRequest, pk: int) -> JsonResponse:
    """What the page of a run asks for while it runs."""
    shown = managed_run(request, pk)
    return JsonResponse(
        {
            "state": shown.state,
            "label": shown.get_state_display(),
            "ended": shown.ended,
            "percent": shown.percent,
            "step": shown.step,
            "total": shown.total_steps,
            "log": shown.log_tail,
            "curves": curves(shown),
        }
    )


@require_POST
def resend(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a waiting run's message to the queue again."""
    shown = managed_run(request, pk)
    try:
        queue.resend_run(run=shown, by=request.user)
    except PalateError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The run was sent to the queue again."))
    return redirect("run", pk)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    shown = managed_run(request, pk)
    operations.cancel_run(run=shown, by=request.user)
    shown.refresh_from_db()
    if shown.state == RunState.CANCELLED:
        messages.success(request, _("The run is cancelled."))
    return redirect("run", pk)
