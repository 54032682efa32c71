"""A new study: begun from a template, with the rating screen beside it as it will look."""

import itertools

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.audit.operations import record
from annotate.models.audit import Action
from annotate.models.studies import Study
from annotate.studies import operations
from annotate.studies.templates import BY_KEY, TEMPLATES, StudyTemplate
from annotate.web.access import for_makers
from annotate.web.studies.forms import NewStudyForm, StudyDraft
from annotate.web.studies.preview import preview
from core.errors import PalateError
from training.demo.cases import CASES
from training.models import Run, RunKind
from training.runs.operations import queue_run


@for_makers
def create(request: HttpRequest) -> HttpResponse:
    template = BY_KEY.get(request.GET.get("template", ""))
    posted = request.method == "POST"
    form = NewStudyForm(request.POST if posted else None, template)
    if posted and form.is_valid():
        try:
            with transaction.atomic():
                study = operations.create_study(owner=request.user, **form.fields())
                record(study=study, user=request.user, action=Action.ADDED, subject="study")
                run = _demo_of(study, template, request) if "demo" in request.POST else None
        except PalateError as error:
            form.study.add_error(None, str(error))
        else:
            if run:
                return redirect("run", run.pk)
            messages.success(request, _("The study is there. Now it needs prompts."))
            return redirect("study-overview", study.slug)
    context = {"form": form, "templates": TEMPLATES, "chosen": template, "demos": list(CASES)}
    return render(request, "manage/create.html", context, status=422 if posted else 200)


@require_POST
@for_makers
def create_demo(request: HttpRequest, key: str) -> HttpResponse:
    """A study as the template says it, and its demo: one press from the list of templates."""
    template = BY_KEY.get(key)
    if template is None or key not in CASES:
        raise Http404
    with transaction.atomic():
        name = _("%(template)s, a demo") % {"template": template.name}
        study = operations.create_study(slug=_free(f"{key}-demo"), name=name, owner=request.user, **template.fields())
        record(study=study, user=request.user, action=Action.ADDED, subject="study", template=key)
        run = _demo_of(study, template, request)
    return redirect("run", run.pk)


def _demo_of(study: Study, template: StudyTemplate | None, request: HttpRequest) -> Run:
    """The run that fills a study; PalateError where its template has no demo."""
    if template is None or template.key not in CASES:
        raise PalateError(_("Only these templates have a demo: %(names)s") % {"names": ", ".join(CASES)})
    language = "zh" if (get_language() or "").startswith("zh") else "en"
    values = {"template": template.key, "language": language}
    run = queue_run(kind=RunKind.DEMO, study=study, values=values, created_by=request.user)
    messages.success(request, _("The study is there. Its demo is being made; this page shows how far it is."))
    return run


def _free(slug: str) -> str:
    """The short name, or the first of slug-2, slug-3, … that is free."""
    names = itertools.chain([slug], (f"{slug}-{n}" for n in itertools.count(2)))
    return next(name for name in names if not Study.objects.filter(slug=name).exists())


@require_POST
@for_makers
def preview_new(request: HttpRequest) -> HttpResponse:
    """The rating screen of the study in the form; of an invalid form nothing but its errors."""
    draft = StudyDraft(request.POST)
    if not draft.is_valid():
        return render(request, "manage/preview.html", {"problems": draft.problems()}, status=422)
    study, criteria = draft.unsaved()
    context = preview(study, criteria, template=request.GET.get("template", ""))
    return render(request, "manage/preview.html", context)
