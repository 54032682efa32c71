"""The pages of a study's managers: a new study, overview, settings, members."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.errors import PalateError
from annotate.members.access import managed_study
from annotate.members.operations import add_member, remove_member
from annotate.quality.agreement import agreement
from annotate.quality.progress import judgements_by_day, progress_of_study
from annotate.quality.win_rate import win_rate
from annotate.studies import operations
from annotate.studies.forms import MemberForm, NewStudyForm, StudySettingsForm
from palate.charts import bars


def create(request: HttpRequest) -> HttpResponse:
    form = NewStudyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            study = operations.create_study(owner=request.user, **form.fields())
        except PalateError as error:
            form.study.add_error(None, str(error))
        else:
            messages.success(request, _("The study is there. Now it needs prompts."))
            return redirect("study-overview", study.slug)
    return render(request, "manage/create.html", {"form": form}, status=422 if request.method == "POST" else 200)


def overview(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    days = judgements_by_day(study)
    rounds = study.rounds.select_related("policy", "against").order_by("-number")
    context = {
        "study": study,
        "tab": "overview",
        "progress": progress_of_study(study),
        "days": days,
        "chart": bars([day.judgements for day in days]),
        "agreement": agreement(study),
        "rounds": [(turn, win_rate(turn)) for turn in rounds[:10]],
        "runs": study.runs.all()[:5],
    }
    return render(request, "manage/overview.html", context)


def settings(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    form = StudySettingsForm(request.POST if request.method == "POST" else None, instance=study)
    if request.method == "POST" and form.is_valid():
        operations.change_study(study=study, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("study-settings", slug)
    # The form has written its invalid values into the study; the page's head must show the stored ones.
    context = {"study": managed_study(request, slug), "tab": "settings", "form": form}
    return render(request, "manage/settings.html", context, status=422 if form.errors else 200)


def members(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    form = MemberForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            member = add_member(study=study, **form.cleaned_data)
        except PalateError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("%(name)s takes part now.") % {"name": member})
            return redirect("study-members", slug)
    people = study.memberships.filter(kind="person", active=True).select_related("user")
    context = {
        "study": study,
        "tab": "members",
        "form": form,
        "people": [(member, member.judgements.live().count()) for member in people],
        "others": study.memberships.exclude(kind="person").count(),
    }
    return render(request, "manage/members.html", context, status=422 if form.errors else 200)


@require_POST
def remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    study = managed_study(request, slug)
    member = get_object_or_404(study.memberships.filter(kind="person", active=True), pk=pk)
    try:
        remove_member(member=member)
    except PalateError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(name)s takes part no more; the judgements stay.") % {"name": member})
    return redirect("study-members", slug)
