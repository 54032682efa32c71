"""The instructions of a study, to be read before the first task and after each change."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from annotate.collection.gold import quiz_of
from annotate.members.queries import rating_memberships_of
from annotate.models.choices import Purpose
from annotate.models.task_queries import TaskQuerySet
from annotate.models.tasks import Task
from annotate.studies.consent import agree, must_agree
from annotate.studies.instructions import confirm_reading, must_read
from annotate.web.rating.forms import letter

MAX_EXAMPLES = 10


def instructions(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the newest version; a POST confirms the version that was shown."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    study = rater.study
    if request.method == "POST":
        version, consent = (_number(request.POST.get(name, "")) for name in ("version", "consent"))
        if version is not None and version <= study.instructions_version:
            confirm_reading(rater=rater, version=version)
        if consent is not None and consent <= study.consent_version:
            agree(rater=rater, version=consent)
        # Changed in the meantime: read the new ones.
        return redirect("rate", slug)
    known = Task.objects.filter(study=study)
    context = {
        "study": study,
        "unread": must_read(rater),
        "ask_consent": must_agree(rater),
        "quiz": rater.quiz_passed is None and quiz_of(rater).exists(),
        "examples": _examples(known),
        "practice": known.known(Purpose.PRACTICE).exists(),
    }
    return render(request, "rate/instructions.html", context)


def _number(text: str) -> int | None:
    """The number of a version; None for what is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _examples(tasks: TaskQuerySet) -> list[dict[str, Any]]:
    """Worked examples: prompt, lettered texts, and the known answer with its reason."""
    rows = tasks.known(Purpose.EXAMPLE).select_related("prompt", "known_answer").prefetch_related("places__response")
    return [
        {
            "prompt": task.prompt.text,
            "texts": [(letter(n), place.response.text) for n, place in enumerate(task.places.all())],
            "known": task.known_answer,
        }
        for task in rows.order_by("id")[:MAX_EXAMPLES]
    ]
