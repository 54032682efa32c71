"""A new study: begun from a template, with the rating screen beside it as it will look."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.errors import PalateError
from annotate.studies import operations
from annotate.studies.forms import NewStudyForm
from annotate.studies.preview import preview
from annotate.studies.templates import BY_KEY, TEMPLATES


def create(request: HttpRequest) -> HttpResponse:
    template = BY_KEY.get(request.GET.get("template", ""))
    posted = request.method == "POST"
    form = NewStudyForm(request.POST if posted else None, template)
    if posted and form.is_valid():
        try:
            study = operations.create_study(owner=request.user, **form.fields())
        except PalateError as error:
            form.study.add_error(None, str(error))
        else:
            messages.success(request, _("The study is there. Now it needs prompts."))
            return redirect("study-overview", study.slug)
    context = {"form": form, "templates": TEMPLATES, "chosen": template}
    return render(request, "manage/create.html", context, status=422 if posted else 200)


@require_POST
def preview_new(request: HttpRequest) -> HttpResponse:
    """The rating screen of the study in the form, as far as it has been filled in."""
    study, criteria = NewStudyForm(request.POST).draft()
    context = preview(study, criteria, template=request.GET.get("template", ""))
    return render(request, "manage/preview.html", context)
