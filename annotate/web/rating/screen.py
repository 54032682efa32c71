"""What the rating screen shows of a task, whether it is judged for the first time or corrected."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.tasks import Assignment
from annotate.web.rating.forms import AnswerForm, SkipForm


@dataclass(frozen=True)
class Screen:
    """shown: response ids in the order in which the rater sees them. action: where the answer is sent.

    assignment and skip_form: only while the task is leased; a correction can be neither skipped nor returned.
    """

    study: Study
    prompt: Prompt
    shown: Sequence[int]
    form: AnswerForm
    action: str
    assignment: Assignment | None = None
    skip_form: SkipForm | None = None

    def context(self, problems: Sequence[str] = ()) -> dict[str, Any]:
        """The variables of rate/task.html."""
        responses = Response.objects.filter(pk__in=self.shown)
        # Blind means that who wrote a response does not come near the page.
        responses = responses.only("text") if self.study.blind else responses.select_related("author_model")
        by_pk = responses.in_bulk()
        texts = [by_pk[pk].text for pk in self.shown]
        authors = [] if self.study.blind else [by_pk[pk].author for pk in self.shown]
        return {
            "study": self.study,
            **shown_of(self.study, self.prompt),
            "form": self.form,
            "action": self.action,
            "assignment": self.assignment,
            "skip_form": self.skip_form,
            "panels": self.form.panels(texts, authors),
            "problems": problems,
        }


def shown_of(study: Study, prompt: Prompt) -> dict[str, str]:
    """The prompt's text, its context, and its reference where raters may see it."""
    reference = prompt.reference if study.show_reference else ""
    return {"prompt": prompt.text, "context": prompt.context, "reference": reference}
