"""The pages of a study's managers: settings, pausing and closing."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from annotate.audit.operations import recorded
from annotate.collection.opening import imported_tasks, open_imported
from annotate.models.audit import Action
from annotate.models.studies import Study
from annotate.studies import operations
from annotate.web.access import managed_study
from annotate.web.studies.forms import CriterionForm, OpenImportedForm, StudySettingsForm, problems
from annotate.web.studies.preview import preview
from core.errors import PalateError

STATES = {
    "pause": (operations.pause_study, gettext_lazy("Paused: nothing is handed out until you resume.")),
    "resume": (operations.resume_study, gettext_lazy("Tasks are handed out again.")),
    "close": (operations.close_study, gettext_lazy("Closed: nobody rates or joins any more. What was judged stays.")),
    "reopen": (operations.reopen_study, gettext_lazy("The study is open again.")),
}


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
    message = ngettext("%(n)d task asks for more raters now.", "%(n)d tasks ask for more raters now.", tasks)
    messages.success(request, message % {"n": tasks})
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
