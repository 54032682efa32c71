"""The pages of a study's managers: overview, settings, pausing and closing."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from annotate.audit.models import Action
from annotate.audit.operations import recorded
from annotate.errors import PalateError
from annotate.judgements.selection_form import requested_selection
from annotate.members.access import managed_study
from annotate.quality.agreement import agreement
from annotate.quality.consistency import self_consistency
from annotate.quality.evidence import Evidence
from annotate.quality.progress import counts_of, judgements_by_day, progress_of_study
from annotate.quality.win_rate import win_rates
from annotate.studies import operations
from annotate.studies.forms import CriterionForm, OpenImportedForm, StudySettingsForm, problems
from annotate.studies.models import Study
from annotate.studies.preview import preview
from annotate.tasks.opening import imported_tasks, open_imported
from palate.charts import bars

STATES = {
    "pause": (operations.pause_study, gettext_lazy("Paused: nothing is handed out until you resume.")),
    "resume": (operations.resume_study, gettext_lazy("Tasks are handed out again.")),
    "close": (operations.close_study, gettext_lazy("Closed: nobody rates or joins any more. What was judged stays.")),
    "reopen": (operations.reopen_study, gettext_lazy("The study is open again.")),
}


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
        "agreement": agreement(Evidence(study, selection).comparisons),
        "consistency": self_consistency(study, selection),
        "rounds": [(turn, rates[turn.pk]) for turn in rounds],
        "runs": study.runs.all()[:5],
    }
    return render(request, "manage/overview.html", context)


def settings(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    form = StudySettingsForm(request.POST if request.method == "POST" else None, instance=study)
    if request.method == "POST" and form.is_valid():
        try:
            with recorded(
                study=study, user=request.user, action=Action.CHANGED, subject="settings", fields=form.changed_data
            ):
                operations.change_study(study=study, **form.cleaned_data)
        except PalateError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("study-settings", slug)
    return _settings(request, slug, form, CriterionForm())


@require_POST
def add_scale(request: HttpRequest, slug: str) -> HttpResponse:
    """One more criterion for a study that runs."""
    study = managed_study(request, slug)
    scale = CriterionForm(request.POST)
    scale.fields["name"].required = True
    fields = scale.criterion() if scale.is_valid() else None
    if fields:
        try:
            with recorded(study=study, user=request.user, action=Action.ADDED, subject=f"scale {fields['key']}"):
                operations.add_criterion(study=study, **fields)
        except PalateError as error:
            scale.add_error(None, str(error))
        else:
            messages.success(request, _("Added. From now on raters are asked for it."))
            return redirect("study-settings", slug)
    return _settings(request, slug, StudySettingsForm(instance=study), scale)


@require_POST
def open_imported_tasks(request: HttpRequest, slug: str) -> HttpResponse:
    """Let imported tasks be judged by raters of the study, too."""
    study = managed_study(request, slug)
    opening = OpenImportedForm(request.POST)
    if not opening.is_valid():
        return _settings(request, slug, StudySettingsForm(instance=study), CriterionForm(), opening)
    raters = opening.cleaned_data["raters"]
    with recorded(
        study=study, user=request.user, action=Action.CHANGED, subject="imported tasks opened", raters=raters
    ) as details:
        details["tasks"] = tasks = open_imported(study=study, raters=raters)
    said = ngettext("%(n)d task asks for more raters now.", "%(n)d tasks ask for more raters now.", tasks)
    messages.success(request, said % {"n": tasks})
    return redirect("study-settings", slug)


def _settings(
    request: HttpRequest,
    slug: str,
    form: StudySettingsForm,
    scale: CriterionForm,
    opening: OpenImportedForm | None = None,
) -> HttpResponse:
    # The form has written its invalid values into its study; the page's head must show the stored ones.
    study, opening = managed_study(request, slug), opening or OpenImportedForm()
    context = {
        "study": study,
        "tab": "settings",
        "form": form,
        "scale_form": scale,
        "opening": opening,
        "imported": imported_tasks(study).count(),
    }
    status = 422 if form.errors or scale.errors or opening.errors else 200
    return render(request, "manage/settings.html", context, status=status)


@require_POST
def preview_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """The rating screen as the settings in the form would make it; of an invalid form nothing but its errors."""
    form = StudySettingsForm(request.POST, instance=managed_study(request, slug))
    if not form.is_valid():
        return render(request, "manage/preview.html", {"problems": problems(form)}, status=422)
    study: Study = form.instance
    return render(request, "manage/preview.html", preview(study, list(study.criteria.all())))


@require_POST
def change_state(request: HttpRequest, slug: str) -> HttpResponse:
    """Pause, resume, close or reopen."""
    study = managed_study(request, slug)
    if request.POST.get("to") not in STATES:
        return HttpResponseBadRequest("to: expected pause, resume, close or reopen")
    change, words = STATES[request.POST["to"]]
    try:
        with recorded(study=study, user=request.user, action=Action.CHANGED, subject=request.POST["to"]):
            change(study=study)
    except PalateError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, words)
    return redirect("study-overview", slug)
