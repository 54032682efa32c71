"""Review by a study's managers: flagged tasks, disputed tasks for an expert, tasks with a known answer."""

import random
from typing import Any

from django.contrib import messages
from django.db.models import Count, Prefetch, Q
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from annotate.analytics.reports.disputes import disputes
from annotate.audit.operations import recorded
from annotate.collection.feedback import newest
from annotate.collection.flags import resolve
from annotate.collection.gold import choosable, retire_gold, set_known_answer, untouched
from annotate.collection.judgements import adjudicate
from annotate.exchange.importers.gold import upload_known_answers
from annotate.models.audit import Action
from annotate.models.choices import Purpose
from annotate.models.gold import KnownAnswer
from annotate.models.review import Flag
from annotate.models.studies import Study
from annotate.models.tasks import Task
from annotate.web.access import managed_study
from annotate.web.rating.forms import AnswerForm
from annotate.web.rating.screen import Screen
from annotate.web.review.forms import KnownAnswerForm, KnownAnswersFileForm, PartialAnswerForm
from annotate.web.review.uploads import known_answers_allowance, stored
from core.errors import PalateError
from core.request_bodies import takes_upload

FEEDBACK_SHOWN = 50
# Tasks that a search shows at most.
FOUND = 50
DECISIONS = {"hand-out": True, "keep-out": False}


def review(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    flags = Flag.objects.filter(resolved_at=None).select_related("rater__user").order_by("id")
    flagged = Task.objects.filter(pk__in=flags.filter(task__study=study).values("task")).select_related("prompt")
    disputed = disputes(study)
    tasks = Task.objects.select_related("prompt").in_bulk([dispute.task for dispute in disputed])
    known = study.tasks.exclude(purpose=Purpose.COLLECT).filter(withdrawn=False).select_related("prompt")
    context = {
        "study": study,
        "tab": "review",
        "flagged": flagged.prefetch_related(Prefetch("flags", flags), "responses").order_by("id")[:50],
        "feedback": newest(study, FEEDBACK_SHOWN),
        "disputed": [(tasks[dispute.task], dispute) for dispute in disputed],
        "known": known.annotate(count=Count("judgements", filter=Q(judgements__live=True))).order_by("purpose", "id"),
    }
    return render(request, "manage/review.html", context)


@require_POST
def resolve_flags(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hand a flagged task out again, or keep it out for good."""
    task = get_object_or_404(managed_study(request, slug).tasks, pk=pk)
    if request.POST.get("decision") not in DECISIONS:
        return HttpResponseBadRequest("decision: expected hand-out or keep-out")
    hand_out = DECISIONS[request.POST["decision"]]
    with recorded(
        study=task.study,
        user=request.user,
        action=Action.DECIDED,
        subject="flags",
        task=task.pk,
        decision=request.POST["decision"],
    ):
        resolve(task=task, hand_out=hand_out)
    messages.success(request, _("Raters get the task again.") if hand_out else _("Raters no longer get the task."))
    return redirect("review", slug)


def decide(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Judge a disputed task as its expert: blind to who wrote what, and to what the raters said."""
    study = managed_study(request, slug)
    task = get_object_or_404(study.tasks.select_related("prompt", "study"), pk=pk, purpose=Purpose.COLLECT)
    expert = study.memberships.get(user__username=request.user.get_username())
    shown = _order(task, expert.pk)
    form = AnswerForm(request.POST if request.method == "POST" else None, k=len(shown), study=study)
    problems = form.problems() if form.is_bound else []
    if form.is_bound and not problems:
        try:
            with recorded(study=study, user=request.user, action=Action.DECIDED, subject="dispute", task=task.pk):
                adjudicate(task=task, expert=expert, shown=shown, answer=form.answer(seconds=None))
        except PalateError as error:
            problems = [str(error)]
        else:
            messages.success(request, _("Decided. Your answer is marked as an expert's."))
            return redirect(_next_dispute(study))
    title = {"title": _("Decide"), "lede": _("Raters disagree about this task. You do not see what they said.")}
    return _expert_screen(request, study, task, shown, form, problems, title)


def _next_dispute(study: Study) -> str:
    following = disputes(study, limit=1)
    return (
        reverse("decide", args=[study.slug, following[0].task]) if following else reverse("review", args=[study.slug])
    )


def new_known_answer(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose the tasks that are given a known answer: by a search (`?q=`), the next untouched one, or from a file."""
    return _choose_known(request, managed_study(request, slug), KnownAnswersFileForm())


@takes_upload(known_answers_allowance)
@require_POST
def upload_known(request: HttpRequest, slug: str) -> HttpResponse:
    """Take known answers from a file, all of them or none."""
    study = managed_study(request, slug)
    form = KnownAnswersFileForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            with (
                stored(form.cleaned_data["file"]) as path,
                recorded(study=study, user=request.user, action=Action.IMPORTED, subject="known answers") as details,
            ):
                details["tasks"] = count = upload_known_answers(study=study, path=path)
        except PalateError as error:
            form.add_error("file", str(error))
        else:
            message = ngettext("%(n)d task has a known answer now.", "%(n)d tasks have a known answer now.", count)
            messages.success(request, message % {"n": count})
            return redirect("review", slug)
    return _choose_known(request, study, form)


def _choose_known(request: HttpRequest, study: Study, form: KnownAnswersFileForm) -> HttpResponse:
    query = request.GET.get("q", "").replace("\0", "").strip()[:200]
    context = {
        "study": study,
        "tab": "review",
        "form": form,
        "query": query,
        "found": choosable(study, query)[:FOUND] if query else [],
        "most": FOUND,
        "next": untouched(study),
    }
    return render(request, "manage/known_choose.html", context, status=422 if form.errors else 200)


def known_answer(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give a task a known answer: for checks in between, for the quiz or for practice."""
    study = managed_study(request, slug)
    task = get_object_or_404(study.tasks.select_related("prompt", "study"), pk=pk)
    shown = list(task.places.order_by("position").values_list("response_id", flat=True))
    posted = request.POST if request.method == "POST" else None
    stored_answer = KnownAnswer.objects.filter(task=task).first()
    form, known = PartialAnswerForm(posted, k=len(shown), study=study), KnownAnswerForm(posted)
    if stored_answer:
        form.initial = form.fields_of_known(stored_answer)
        known.initial = {"purpose": task.purpose, "explanation": stored_answer.explanation}
    problems = form.problems() + [str(e) for errors in known.errors.values() for e in errors] if posted else []
    if posted and not problems:
        try:
            with recorded(study=study, user=request.user, action=Action.ADDED, subject="known answer", task=task.pk):
                set_known_answer(task=task, **form.known(), **known.cleaned_data)
        except PalateError as error:
            problems = [str(error)]
        else:
            messages.success(request, _("The task has a known answer now."))
            return redirect("review", slug)
    title = {"title": _("A known answer"), "lede": _("Raters' answers to this task will be held against yours.")}
    return _expert_screen(request, study, task, shown, form, problems, {**title, "extra": known})


@require_POST
def retire_gold_task(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a task with a known answer no more."""
    task = get_object_or_404(managed_study(request, slug).tasks.exclude(purpose=Purpose.COLLECT), pk=pk)
    with recorded(study=task.study, user=request.user, action=Action.REMOVED, subject="known answer", task=task.pk):
        retire_gold(task=task)
    messages.success(request, _("The task is shown no more."))
    return redirect("review", slug)


def _order(task: Task, expert: int) -> list[int]:
    """The responses in an order that is the same whenever this expert opens the task."""
    shown = list(task.places.order_by("position").values_list("response_id", flat=True))
    random.Random(f"{task.pk}-{expert}").shuffle(shown)
    return shown


def _expert_screen(
    request: HttpRequest,
    study: Study,
    task: Task,
    shown: list[int],
    form: AnswerForm,
    problems: list[str],
    words: dict[str, Any],
) -> HttpResponse:
    # Whatever raters see, an expert judges blind.
    study.blind = True
    screen = Screen(study=study, prompt=task.prompt, shown=shown, form=form, action="")
    context = {**screen.context(problems), **words}
    return render(request, "manage/expert.html", context, status=422 if problems else 200)
