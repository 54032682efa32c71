"""The rating screen of a study that is being set up, with an example in it. Nothing is stored."""

from collections.abc import Sequence
from typing import Any

from annotate.prompts.models import Response
from annotate.studies.models import Criterion, Method, Study
from annotate.studies.templates import BY_KEY, TEMPLATES
from annotate.tasks.forms import AnswerForm


def preview(study: Study, criteria: Sequence[Criterion], *, template: str = "") -> dict[str, Any]:
    """The variables of manage/preview.html.

    The example is the study's newest task; without one, that of the template, or of the first with its method.
    """
    prompt, responses = _own_example(study) if study.pk else ("", [])
    if not responses:
        example = BY_KEY.get(template) or next(t for t in TEMPLATES if t.method == study.method)
        prompt, responses = example.prompt, example.shown(study.method, study.rank_size)
    form = AnswerForm(k=len(responses), study=study, criteria=criteria)
    authors = [] if study.blind else [f"model {n}" for n in range(1, len(responses) + 1)]
    return {
        "study": study,
        "prompt": prompt,
        "form": form,
        "panels": form.panels(responses, authors),
        "action": "",
        "preview": True,
        "missing_scale": study.method == Method.SCORE and not criteria,
    }


def _own_example(study: Study) -> tuple[str, list[str]]:
    task = study.tasks.filter(withdrawn=False).select_related("prompt").order_by("-id").first()
    if task is None:
        return "", []
    responses = Response.objects.filter(places__task=task).order_by("places__position")
    return task.prompt.text, list(responses.values_list("text", flat=True))
