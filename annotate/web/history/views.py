"""A rater's own judgements: look back, undo the last one, correct any."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from annotate.collection import judgements
from annotate.collection.permission import may_correct
from annotate.collection.rewrites import rewrite_of
from annotate.members.queries import rating_memberships_of
from annotate.models.judgements import Judgement
from annotate.web.rating.forms import AnswerForm, fields_of
from annotate.web.rating.screen import Screen
from core.errors import PalateError

PAGE = 25


def history(request: HttpRequest, slug: str) -> HttpResponse:
    """The rater's live judgements, newest first."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    own = (
        Judgement.objects.live()
        .asked_for()
        .filter(rater=rater)
        .annotate(prompt_start=Left("task__prompt__text", 160))
        .order_by("-id")
    )
    page = Paginator(own, PAGE).get_page(request.GET.get("page"))
    context = {"study": rater.study, "page": page, "may_correct": may_correct(rater)}
    return render(request, "rate/history.html", context)


def undo(request: HttpRequest, slug: str) -> HttpResponse:
    """Back to the rater's last answer, to give another."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    last = Judgement.objects.live().asked_for().filter(rater=rater).order_by("-made_at", "-id").first()
    if last is None:
        messages.info(request, _("You have not judged anything yet."))
        return redirect("rate", slug)
    return redirect(reverse("correct", args=[last.pk]) + "?then=rate")


def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an own judgement again and take the answer that supersedes it."""
    judgement = get_object_or_404(
        Judgement.objects.asked_for().select_related("task__prompt", "rater__study"),
        pk=pk,
        rater__in=rating_memberships_of(request.user),
    )
    study, k = judgement.rater.study, len(judgement.shown)
    to_rating = request.GET.get("then") == "rate"
    after = reverse("rate" if to_rating else "history", args=[study.slug])
    posted = request.POST if request.method == "POST" else None
    if posted is None and not judgement.live:
        messages.info(request, _("This answer has been corrected already."))
        return redirect(after)
    if posted is None and not may_correct(judgement.rater):
        messages.info(request, _("Answers in this study can no longer be changed."))
        return redirect("history", study.slug)
    initial = fields_of(judgement)
    if written := rewrite_of(judgement):
        initial["rewrite"] = written
    form = AnswerForm(posted, k=k, study=study, initial=initial)
    problems: list[str] = []
    if posted is not None:
        problems = form.problems() if not form.is_valid() else _corrected(judgement, form)
        if not problems:
            messages.success(request, _("Your new answer counts now."))
            return redirect(after)
    screen = Screen(study=study, prompt=judgement.task.prompt, shown=judgement.shown, form=form, action="")
    context = {**screen.context(problems), "judgement": judgement, "after": after}
    return render(request, "rate/correct.html", context, status=422 if problems else 200)


def _corrected(judgement: Judgement, form: AnswerForm) -> list[str]:
    try:
        judgements.correct(judgement=judgement, answer=form.answer(seconds=None))
    except PalateError as error:
        return [str(error)]
    return []
