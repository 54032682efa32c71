"""The rating screen: lease a task, show it, take the answer. Every page works as a plain HTML form."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import PalateError
from annotate.judgements import operations as judgements
from annotate.members.queries import memberships_of, progress_of
from annotate.prompts.models import Response
from annotate.tasks import operations
from annotate.tasks.forms import AnswerForm, SkipForm
from annotate.tasks.models import Assignment, AssignmentState


class SeeOther(HttpResponseRedirect):
    """After a POST: fetch the next page with GET."""

    status_code = 303


def rate(request: HttpRequest, slug: str) -> HttpResponse:
    """Lease the rater's next task and show it."""
    rater = get_object_or_404(memberships_of(request.user), study__slug=slug)
    assignment = operations.lease_next(rater=rater)
    if assignment is None:
        return render(request, "rate/done.html", {"study": rater.study, "progress": progress_of(rater)})
    return _screen(request, assignment, _answer_form(assignment), SkipForm())


def judge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the rater's answer and go on to the next task."""
    assignment = _own(request, pk)
    if request.method != "POST":
        return _next(assignment)
    form, skip_form = _answer_form(assignment, request), SkipForm(initial=request.POST.dict())
    if not form.is_valid():
        return _screen(request, assignment, form, skip_form, problems=form.problems())
    if assignment.state == AssignmentState.JUDGED:
        # Somebody went back in the browser, and must not believe that the new answer replaced the first.
        messages.info(request, _("You have judged that task already; your first answer counts."))
        return _next(assignment)
    wall_seconds = (timezone.now() - assignment.leased_at).total_seconds()
    try:
        judgements.submit(assignment=assignment, answer=form.answer(seconds=wall_seconds))
    except PalateError as error:
        return _screen(request, assignment, form, skip_form, problems=[str(error)], status=_status(error))
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
        return _screen(request, assignment, form, skip_form, problems=problems)
    try:
        operations.skip(assignment=assignment, reason=skip_form.sentence())
    except PalateError as error:
        return _screen(request, assignment, form, skip_form, problems=[str(error)], status=_status(error))
    return _next(assignment)


def give_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the task unjudged and leave."""
    assignment = _own(request, pk)
    if request.method != "POST":
        return _next(assignment)
    operations.give_back(assignment=assignment)
    messages.success(request, _("The task is open to everybody again."))
    return SeeOther(reverse("studies"))


def _own(request: HttpRequest, pk: int) -> Assignment:
    """The user's own assignment; anybody else's does not exist."""
    return get_object_or_404(
        Assignment.objects.select_related("task__prompt", "rater__study"),
        pk=pk,
        rater__in=memberships_of(request.user),
    )


def _next(assignment: Assignment) -> HttpResponse:
    return SeeOther(reverse("rate", args=[assignment.rater.study.slug]))


def _status(error: PalateError) -> int:
    return 409 if isinstance(error, operations.LeaseLost) else 422


def _answer_form(
    assignment: Assignment, request: HttpRequest | None = None, *, initial: dict[str, str] | None = None
) -> AnswerForm:
    return AnswerForm(
        request.POST if request else None,
        k=len(assignment.shown),
        criteria=list(assignment.rater.study.criteria.all()),
        initial=initial,
    )


def _screen(
    request: HttpRequest,
    assignment: Assignment,
    form: AnswerForm,
    skip_form: SkipForm,
    *,
    problems: Sequence[str] = (),
    status: int = 422,
) -> HttpResponse:
    # Only the texts: who wrote a response must not come near the page.
    texts = dict(Response.objects.filter(pk__in=assignment.shown).values_list("pk", "text"))
    context = {
        "assignment": assignment,
        "study": assignment.rater.study,
        "prompt": assignment.task.prompt.text,
        "form": form,
        "skip_form": skip_form,
        "panels": form.panels([texts[response] for response in assignment.shown]),
        "problems": problems,
        "progress": progress_of(assignment.rater),
    }
    return render(request, "rate/screen.html", context, status=status if problems else 200)
