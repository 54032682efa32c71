"""The rating screen: lease a task, show it, take the answer.

Every page works as a plain HTML form. The screen's script asks ahead for the next task and sends answers in
the background: it says so in its Accept header, and gets a piece of the page or JSON.
"""

from collections.abc import Sequence
from contextlib import suppress

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.collection import judgements, leases
from annotate.collection.flags import flag
from annotate.members.queries import progress_of, rating_memberships_of
from annotate.models.choices import AssignmentState
from annotate.models.members import Membership
from annotate.models.review import FlagKind
from annotate.models.tasks import Assignment
from annotate.studies.instructions import must_read
from annotate.web.rating.forms import AnswerForm, SkipForm
from annotate.web.rating.notices import notices, quiz_notices
from annotate.web.rating.screen import Screen
from core.errors import LimitReached, PalateError

UNSAVED = ("csrfmiddlewaretoken", "submission", "device")


class SeeOther(HttpResponseRedirect):
    """After a POST: fetch the next page with GET."""

    status_code = 303


def rate(request: HttpRequest, slug: str) -> HttpResponse:
    """Lease the rater's next task and show it."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    if must_read(rater):
        return redirect("instructions", slug)
    assignment = leases.lease_next(rater=rater)
    if assignment is None:
        context = {"study": rater.study, "rater": rater, "progress": progress_of(rater)}
        return render(request, "rate/done.html", context)
    return _show(request, assignment, _answer_form(assignment, initial=assignment.draft), SkipForm())


@require_POST
def ahead(request: HttpRequest, slug: str) -> HttpResponse:
    """Lease the task after those that the browser holds (`beyond`), as a piece of the page; 204 when there is none."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    beyond = [int(pk) for pk in request.POST.getlist("beyond") if pk.isdecimal() and len(pk) < 19]
    # New instructions are read first, on the page that the screen goes to when there is nothing ahead.
    assignment = None if must_read(rater) else leases.lease_next(rater=rater, beyond=beyond)
    if assignment is None:
        return HttpResponse(status=204)
    screen = _screen(assignment, _answer_form(assignment, initial=assignment.draft), SkipForm())
    return render(request, "rate/task.html", screen.context())


def judge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the rater's answer and go on to the next task."""
    assignment = _own(request, pk)
    if request.method != "POST":
        return _next(assignment)
    form, skip_form = _answer_form(assignment, request.POST), SkipForm(initial=request.POST.dict())
    if not form.is_valid():
        return _problem(request, assignment, form, skip_form, form.problems())
    if assignment.state == AssignmentState.JUDGED and not _in_background(request):
        # Somebody went back in the browser, and must not believe that the new answer replaced the first.
        messages.info(request, _("You have judged that task already; your first answer counts."))
        return _next(assignment)
    wall_seconds = (timezone.now() - assignment.leased_at).total_seconds()
    try:
        judgement = judgements.submit(assignment=assignment, answer=form.answer(seconds=wall_seconds))
    except PalateError as error:
        return _problem(request, assignment, form, skip_form, [str(error)], _status(error))
    messages_shown = notices(judgement, before=assignment.rater)
    if _in_background(request):
        return JsonResponse({"notices": messages_shown})
    for notice in messages_shown:
        messages.info(request, notice)
    return _next(assignment)


def skip(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the task to somebody else, with a reason."""
    assignment = _own(request, pk)
    if request.method != "POST":
        return _next(assignment)
    # Unbound: an answer that is not finished is kept, and not complained about.
    form, skip_form = _answer_form(assignment, initial=request.POST.dict()), SkipForm(request.POST)
    if not skip_form.is_valid():
        problems = [str(error) for errors in skip_form.errors.values() for error in errors]
        return _problem(request, assignment, form, skip_form, problems)
    reason, details = skip_form.cleaned_data["reason"], skip_form.cleaned_data["details"]
    before = assignment.rater
    try:
        if reason in FlagKind.values:
            made = flag(assignment=assignment, kind=reason, details=details)
            messages.success(request, _("Thank you. Somebody will look at the task."))
            if made.over_limit:
                messages.info(request, _("There were many flags today: others may still get the task until then."))
        else:
            leases.skip(assignment=assignment, reason=skip_form.sentence())
    except PalateError as error:
        request.must_wait = getattr(error, "seconds", 0)  # type: ignore[attr-defined]
        return _problem(request, assignment, form, skip_form, [str(error)], _status(error))
    for notice in quiz_notices(before, Membership.objects.get(pk=before.pk)):
        messages.info(request, notice)
    return _next(assignment)


def release_lease(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the task unjudged and leave."""
    assignment = _own(request, pk)
    if request.method != "POST":
        return _next(assignment)
    if _in_background(request):
        # A page that was closed returns the task that it had fetched ahead.
        with suppress(ValueError, OverflowError):
            assignment.expires_at = parse_datetime(request.POST.get("expires", "")) or assignment.expires_at
        leases.release_lease(assignment=assignment, unless_renewed=True)
        return JsonResponse({})
    leases.release_lease(assignment=assignment)
    messages.success(request, _("The task is open to everybody again."))
    return SeeOther(reverse("studies"))


@require_POST
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep what the rater has filled in so far, and the lease with it."""
    assignment = _own(request, pk)
    fields = {name: str(value) for name, value in request.POST.items() if name not in UNSAVED}
    try:
        kept = leases.keep_draft(assignment=assignment, fields=fields)
    except PalateError as error:
        return JsonResponse({"problems": [str(error)]}, status=413)
    return JsonResponse({"kept": kept})


def _own(request: HttpRequest, pk: int) -> Assignment:
    """The user's own assignment; anybody else's does not exist."""
    return get_object_or_404(
        Assignment.objects.select_related("task__prompt", "rater__study"),
        pk=pk,
        rater__in=rating_memberships_of(request.user),
    )


def _next(assignment: Assignment) -> HttpResponse:
    return SeeOther(reverse("rate", args=[assignment.rater.study.slug]))


def _in_background(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"


def _status(error: PalateError) -> int:
    if isinstance(error, LimitReached):
        return 429
    return 409 if isinstance(error, leases.LeaseLost | judgements.KeyUsed) else 422


def _answer_form(
    assignment: Assignment, data: QueryDict | None = None, *, initial: dict[str, str] | None = None
) -> AnswerForm:
    return AnswerForm(data, k=len(assignment.shown), study=assignment.rater.study, initial=initial)


def _screen(assignment: Assignment, form: AnswerForm, skip_form: SkipForm) -> Screen:
    return Screen(
        study=assignment.rater.study,
        prompt=assignment.task.prompt,
        shown=assignment.shown,
        form=form,
        action=reverse("judge", args=[assignment.pk]),
        assignment=assignment,
        skip_form=skip_form,
    )


def _problem(
    request: HttpRequest,
    assignment: Assignment,
    form: AnswerForm,
    skip_form: SkipForm,
    problems: Sequence[str],
    status: int = 422,
) -> HttpResponse:
    if _in_background(request):
        return JsonResponse({"problems": list(problems)}, status=status)
    return _show(request, assignment, form, skip_form, problems=problems, status=status)


def _show(
    request: HttpRequest,
    assignment: Assignment,
    form: AnswerForm,
    skip_form: SkipForm,
    *,
    problems: Sequence[str] = (),
    status: int = 200,
) -> HttpResponse:
    screen = _screen(assignment, form, skip_form)
    context = {**screen.context(problems), "progress": progress_of(assignment.rater), "rater": assignment.rater}
    return render(request, "rate/screen.html", context, status=status)
