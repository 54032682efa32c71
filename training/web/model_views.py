"""Models of a study and the rounds in which their responses were judged."""

from collections.abc import Container
from itertools import pairwise, zip_longest
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotate.audit.operations import record
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.web.access import managed_study
from annotate.web.plot_files import file_response
from annotate.web.selection_form import requested_selection
from core.errors import PalateError
from core.markdown import sanitised
from training.models import ModelKind, ModelVersion, ResponseReward, chance
from training.registry import model_versions, snapshots
from training.registry.cards import figure
from training.rounds import promotion
from training.rounds.win_rate import win_rate
from training.rounds.win_rate_diagnosis import diagnose
from training.web.model_report import sections
from training.web.round_summaries import rounds_context, rounds_file
from training.web.run_labels import EVALUATED, measure
from training.web.token_highlights import explained

# What the list tells of a tuned policy.
CHANGED = ("reward", "quality", "kl")
PROMPTS_A_PAGE = 20


def models(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    versions = (
        ModelVersion.objects.filter(model_versions.in_reach(study))
        .select_related("parent", "reward", "snapshot", "run")
        .defer("card", "snapshot__judgement_ids", "run__log_tail", "run__result")
        .defer(*(f"{model}report" for model in ("", "parent__", "reward__")))
    )
    context = {
        "study": study,
        "tab": "models",
        "policies": [(v, _change(v.metrics, CHANGED)) for v in versions if v.kind == ModelKind.POLICY],
        "preferences": [(v, _figure(v, "accuracy")) for v in versions if v.kind == ModelKind.PREFERENCE],
    }
    context |= rounds_context(study, requested_selection(request, study))
    return render(request, "manage/models.html", context)


@require_safe
def download_rounds(request: HttpRequest, slug: str, file_type: str) -> HttpResponseBase:
    """The rounds by reward and by people as CSV or as a picture (SVG)."""
    study = managed_study(request, slug)
    name = f"{study.slug}-rounds"
    response = file_response(rounds_file(study, requested_selection(request, study)), file_type, name=name)
    record(study=study, user=request.user, action=Action.EXPORTED, subject=f"{name}.{file_type}")
    return response


def model(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """A model of the study, or one that all studies share, with what it came from and what came of it here."""
    study = managed_study(request, slug)
    version = get_object_or_404(
        ModelVersion.objects.filter(model_versions.in_reach(study))
        .select_related("parent", "reward", "snapshot", "run")
        .defer("snapshot__judgement_ids"),
        pk=pk,
    )
    evaluation = version.metrics.get("evaluation")
    context = {
        "study": study,
        "tab": "models",
        "version": version,
        "figures": [(words, figure(evaluation, name)) for name, words in EVALUATED] if evaluation else [],
        "evaluation": evaluation,
        "change": _change(version.metrics),
        "card": sanitised(version.card),
        "judgements": snapshots.size(version.snapshot) if version.snapshot else 0,
        "responses": version.responses.filter(prompt__study=study),
        "tuned": version.tuned_policies.filter(study=study),
        "children": version.children.filter(study=study),
        "rounds": version.rounds.filter(study=study),
        "promotable": version.kind == ModelKind.POLICY and version.study_id == study.pk and not version.promoted_at,
        "run": version.run if version.run and version.run.study_id == study.pk else None,
        "sections": sections(version.report),
        "overall": version.report.get("overall"),
        "scored": version.response_rewards.filter(response__prompt__study=study).exists(),
        "explained": bool(version.report.get("explained") or version.report.get("errors")),
    }
    return render(request, "manage/model.html", context)


@require_POST
def promote(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    study = managed_study(request, slug)
    version = get_object_or_404(ModelVersion, pk=pk, study=study)
    assert isinstance(request.user, User)  # whoever manages a study is logged in
    try:
        promotion.promote(version=version, by=request.user, reason=request.POST.get("reason", ""))
    except PalateError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The policy is promoted."))
    return redirect("model", slug, pk)


def why(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Rewards word by word, one prompt at a time, and the most confident errors to read."""
    study = managed_study(request, slug)
    version = get_object_or_404(ModelVersion.objects.filter(model_versions.in_reach(study)), pk=pk)
    prompts = version.report.get("explained", [])
    number = request.GET.get("prompt", "1")
    if not number.isdecimal() or len(number) > 8 or (prompts and not 1 <= int(number) <= len(prompts)):
        raise Http404
    shown = prompts[int(number) - 1] if prompts else None
    temperature = version.metrics.get("temperature", 1.0)

    def probability(reward: float, other: float) -> float:
        return chance((reward - other) / temperature)

    context = {
        "study": study,
        "tab": "models",
        "version": version,
        "prompts": list(enumerate(prompts, start=1)),
        "number": int(number),
        "shown": shown,
        "responses": explained(shown, probability) if shown else [],
        "errors": version.report.get("errors", []),
    }
    return render(request, "manage/model_why.html", context)


def rewards(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """What a preference model thinks of the study's responses, prompt by prompt, the best one first."""
    study = managed_study(request, slug)
    version = get_object_or_404(ModelVersion.objects.filter(model_versions.in_reach(study)), pk=pk)
    scored = version.response_rewards.filter(response__prompt__study=study)
    prompts = study.prompts.filter(pk__in=scored.values("response__prompt")).order_by("pk")
    page = Paginator(prompts, PROMPTS_A_PAGE).get_page(request.GET.get("page"))
    shown = scored.filter(response__prompt__in=list(page)).select_related("response").order_by("-log_odds", "pk")
    by_prompt: dict[int, list[ResponseReward]] = {prompt.pk: [] for prompt in page}
    for row in shown:
        by_prompt[row.response.prompt_id].append(row)
    context = {
        "study": study,
        "tab": "models",
        "version": version,
        "page": page,
        "prompts": [
            (prompt, list(zip_longest(rows, (row.chance_over(after) for row, after in pairwise(rows)))))
            for prompt in page
            if (rows := by_prompt[prompt.pk])
        ],
    }
    return render(request, "manage/model_rewards.html", context)


def round_page(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    study = managed_study(request, slug)
    shown = get_object_or_404(study.rounds.select_related("policy__run", "against", "preference"), number=number)
    selection = requested_selection(request, study)
    rate = win_rate(shown, selection)
    context = {
        "study": study,
        "tab": "overview",
        "round": shown,
        "rate": rate,
        "selection": selection,
        "reasons": diagnose(shown, rate, selection),
        "tasks": shown.tasks.count(),
    }
    return render(request, "manage/round.html", context)


def _figure(version: ModelVersion, name: str) -> str:
    evaluation = version.metrics.get("evaluation")
    return figure(evaluation, name) if evaluation else "–"


def _change(metrics: dict[str, Any], only: Container[str] | None = None) -> list[tuple[str, float, float]]:
    """(words for a measure, before, after) of a tuned policy, all of them or `only` some; nothing for other models."""
    before, after = metrics.get("before") or {}, metrics.get("after") or {}
    names = [name for name in before if name in after and (only is None or name in only)]
    return [(measure(name), before[name], after[name]) for name in names]
