"""Studies to start from: what is judged, by which method and scales, with instructions and an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from annotate.studies.models import Method, TextFormat


@dataclass(frozen=True)
class StudyTemplate:
    """prompt and responses are an example for the preview; a comparison shows the first two, a score the first."""

    key: str
    name: Any
    summary: Any
    method: str
    instructions: Any
    prompt: str
    responses: Sequence[str]
    criteria: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def shown(self, method: str, rank_size: int) -> list[str]:
        """The example's responses for a method, as many as a task of it has."""
        wanted = {Method.SCORE: 1, Method.COMPARE: 2}.get(Method(method), rank_size)
        return [self.responses[n % len(self.responses)] for n in range(wanted)]


TEMPLATES = (
    StudyTemplate(
        key="generation",
        name=_("Text generation"),
        summary=_("Which of two texts goes on better from the same beginning?"),
        method=Method.COMPARE,
        instructions=_(
            "Read the beginning, then both texts. Choose the one that you would rather go on reading.\n\n"
            "- A good text **fits the beginning** and keeps to its names and facts.\n"
            "- It is **whole**: it does not break off, repeat itself or wander away.\n"
            "- Length alone is no merit.\n\n"
            "Choose *both are unacceptable* when neither can be used at all."
        ),
        prompt="Mira found a small brass key under the oldest apple tree.",
        responses=(
            "She tried it in every lock of the house, and in the end it opened her grandmother's music box.",
            "It was a key. The key was brass. Mira liked the key very much because it was a brass key.",
            "She gave it to the crow on the fence, who had clearly been looking for it.",
        ),
    ),
    StudyTemplate(
        key="summary",
        name=_("Summarisation"),
        summary=_("Put several summaries of one text in order."),
        method=Method.RANK,
        instructions=_(
            "Read the text first. Then put its summaries in order, the best one on top.\n\n"
            "1. Nothing in it may be **wrong or made up**: a false statement weighs more than a missing one.\n"
            "2. It says **what matters most** in the text.\n"
            "3. It is short and reads well.\n\n"
            "Summaries that are equally good share a place."
        ),
        prompt=(
            "The town library will close on Mondays from March on. In exchange it opens until nine in the evening "
            "on Thursdays, because a survey of 640 visitors showed that most come after work."
        ),
        responses=(
            "From March the library is closed on Mondays but open until nine on Thursdays, as most visitors come "
            "after work.",
            "The library asked 640 visitors and will close from March on.",
            "The library changes its hours.",
        ),
        settings={"use_strength": False},
    ),
    StudyTemplate(
        key="translation",
        name=_("Translation"),
        summary=_("Score a translation for what it says and how it reads."),
        method=Method.SCORE,
        instructions=_(
            "The prompt is the source text. Score the translation on both scales.\n\n"
            "- **Adequacy**: is everything that the source says in the translation, and nothing else?\n"
            "- **Fluency**: would a native speaker write it like this? Do not look at the source for this one."
        ),
        prompt="Der Zug nach Freiburg hat heute leider etwa zwanzig Minuten Verspätung.",
        responses=("Unfortunately, the train to Freiburg is about twenty minutes late today.",),
        criteria=(
            {
                "key": "adequacy",
                "name": _("Adequacy"),
                "description": _("Does it say what the source says?"),
                "labels": {"1": _("nothing"), "5": _("everything")},
            },
            {
                "key": "fluency",
                "name": _("Fluency"),
                "description": _("Does it read like written by a native speaker?"),
                "labels": {"1": _("unreadable"), "5": _("flawless")},
            },
        ),
    ),
    StudyTemplate(
        key="questions",
        name=_("Question answering"),
        summary=_("Which of two answers is right, and helps more?"),
        method=Method.COMPARE,
        instructions=_(
            "Choose the answer that is **right** and helps the person who asked.\n\n"
            "- A wrong answer loses against one that says that it does not know.\n"
            "- If both are right, choose the one that is clearer and no longer than it needs to be.\n"
            "- Look things up if you are not sure; skip the question if you cannot find out."
        ),
        prompt="Why does the moon always show us the same side?",
        responses=(
            "Because it turns once around itself in the same time in which it goes once around the Earth. The Earth's "
            "pull has slowed its turning down to that.",
            "The moon does not turn at all, so we only ever see one side of it.",
            "Nobody knows.",
        ),
        settings={"text_format": TextFormat.MARKDOWN},
    ),
    StudyTemplate(
        key="classification",
        name=_("Classification"),
        summary=_("Is the label that a model gave to a text right?"),
        method=Method.SCORE,
        instructions=_(
            "The prompt is a text, the response the label that was given to it. Say whether the label is right.\n\n"
            "Judge by the text alone, and by what its writer meant, irony included."
        ),
        prompt="The room was tiny, but we have rarely slept better or laughed more at breakfast.",
        responses=("positive",),
        criteria=(
            {
                "key": "right",
                "name": _("Is the label right?"),
                "minimum": 0,
                "maximum": 2,
                "labels": {"0": _("wrong"), "2": _("right")},
            },
        ),
    ),
    StudyTemplate(
        key="dialogue",
        name=_("Dialogue"),
        summary=_("Which of two replies should the assistant give?"),
        method=Method.COMPARE,
        instructions=_(
            "Read the whole conversation, then both replies. Choose the reply that the assistant should give.\n\n"
            "- **Helpful**: it answers what was asked for, or asks back where something is missing.\n"
            "- **Honest**: it makes nothing up and says what it cannot do.\n"
            "- **Harmless and polite**: also when the person is not.\n\n"
            "Choose *both are unacceptable* when you would send neither."
        ),
        prompt=(
            "**Customer:** My parcel was due on Monday and there is still nothing.\n\n"
            "**Assistant:** I am sorry to hear that. What is the number of your order?\n\n"
            "**Customer:** 4471. I need it by tomorrow, it is a present."
        ),
        responses=(
            "Thank you. Order 4471 left our warehouse on Saturday, but the carrier has not scanned it since. I can "
            "send a second one by express today, free of charge; it would arrive tomorrow before noon. Shall I?",
            "Parcels are sometimes late. Please be patient and have a nice day!",
            "Which order do you mean?",
        ),
        settings={"text_format": TextFormat.MARKDOWN},
    ),
)
BY_KEY = {template.key: template for template in TEMPLATES}
