"""Practice: tasks with a known answer and feedback at once. Nothing of it is stored."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from annotate.collection.gold import is_right
from annotate.members.queries import rating_memberships_of
from annotate.models.choices import Purpose
from annotate.models.tasks import Task
from annotate.web.rating.forms import AnswerForm
from annotate.web.rating.screen import Screen


def practice(request: HttpRequest, slug: str) -> HttpResponse:
    """The practice task number `n` of the address; a POST says whether the answer was right, and why."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    study = rater.study
    tasks = Task.objects.known(Purpose.PRACTICE).filter(study=study).order_by("id")
    place, count = request.GET.get("n", "1"), tasks.count()
    number = int(place) if place.isdecimal() and len(place) < 9 else 1
    if not 1 <= number <= count:
        return redirect("instructions", slug)
    task = tasks.select_related("prompt", "known_answer", "study")[number - 1]
    shown = list(task.places.order_by("position").values_list("response_id", flat=True))
    form = AnswerForm(request.POST if request.method == "POST" else None, k=len(shown), study=study)
    feedback: dict[str, Any] = {}
    if form.is_bound and form.is_valid():
        known = task.known_answer
        feedback = {
            "right": is_right(known, shown, form.answer(seconds=None)),
            "known": known,
            "next": number + 1 if number < count else None,
        }
    problems = form.problems() if form.is_bound else []
    screen = Screen(study=study, prompt=task.prompt, shown=shown, form=form, action="")
    context = {**screen.context(problems), "number": number, "count": count, "feedback": feedback}
    return render(request, "rate/practice.html", context, status=422 if problems else 200)
