"""The rating screen of a study that is being set up, with an example in it. Nothing is stored."""

from collections.abc import Sequence
from typing import Any

from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Criterion, Method, Study
from annotate.studies.templates import BY_KEY, TEMPLATES
from annotate.web.rating.forms import AnswerForm
from annotate.web.rating.screen import shown_of


def preview(study: Study, criteria: Sequence[Criterion], *, template: str = "") -> dict[str, Any]:
    """The variables of manage/preview.html.

    The example is the study's newest task; without one, that of the template, or of the first with its method.
    """
    prompt, responses = _own_example(study) if study.pk else (Prompt(), [])
    if not responses:
        example = BY_KEY.get(template) or next(t for t in TEMPLATES if t.method == study.method)
        words = {"text": example.prompt, "context": example.context, "reference": example.reference}
        prompt = Prompt(**{name: str(value) for name, value in words.items()})
        responses = example.shown(study.method, study.rank_size)
    form = AnswerForm(k=len(responses), study=study, criteria=criteria)
    authors = [] if study.blind else [f"model {n}" for n in range(1, len(responses) + 1)]
    return {
        "study": study,
        **shown_of(study, prompt),
        "form": form,
        "panels": form.panels(responses, authors),
        "action": "",
        "preview": True,
        "missing_scale": study.method == Method.SCORE and not criteria,
    }


def _own_example(study: Study) -> tuple[Prompt, list[str]]:
    task = study.tasks.filter(withdrawn=False, replication__gt=0).select_related("prompt").order_by("-id").first()
    if task is None:
        return Prompt(), []
    responses = Response.objects.filter(places__task=task).order_by("places__position")
    return task.prompt, list(responses.values_list("text", flat=True))
