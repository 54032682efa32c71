"""Studies to start from: what is judged, by which method and scales, with instructions and an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotate.models.studies import Method, TextFormat


@dataclass(frozen=True)
class StudyTemplate:
    """prompt, responses, context and reference are an example for the preview; a comparison shows the first two
    responses, a score the first."""

    key: str
    name: Any
    summary: Any
    method: str
    instructions: Any
    prompt: Any
    responses: Sequence[Any]
    criteria: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    context: Any = ""
    reference: Any = ""

    def fields(self) -> dict[str, Any]:
        """The arguments of create_study but for slug and name, with words in the language of the moment."""
        words = {"description": str(self.summary), "instructions": str(self.instructions)}
        return {"method": self.method, "criteria": _spoken(self.criteria), **words, **_spoken(self.settings)}

    def shown(self, method: str, rank_size: int) -> list[str]:
        """The example's responses for a method, as many as a task of it has."""
        count = {Method.SCORE: 1, Method.COMPARE: 2}.get(Method(method), rank_size)
        return [str(self.responses[n % len(self.responses)]) for n in range(count)]


def _spoken(value: Any) -> Any:
    """The value with its words as plain texts."""
    if isinstance(value, Mapping):
        return {key: _spoken(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_spoken(own) for own in value]
    return str(value) if isinstance(value, Promise) else value


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
        prompt=_("Mira found a small brass key under the oldest apple tree."),
        responses=(
            _("She tried it in every lock of the house, and in the end it opened her grandmother's music box."),
            _("It was a key. The key was brass. Mira liked the key very much because it was a brass key."),
            _("She gave it to the crow on the fence, who had clearly been looking for it."),
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
        prompt=_(
            "The town library will close on Mondays from March on. In exchange it opens until nine in the evening "
            "on Thursdays, because a survey of 640 visitors showed that most come after work."
        ),
        responses=(
            _(
                "From March the library is closed on Mondays but open until nine on Thursdays, as most visitors come "
                "after work."
            ),
            _("The library asked 640 visitors and will close from March on."),
            _("The library changes its hours."),
        ),
        settings={"use_strength": False},
    ),
    StudyTemplate(
        key="writing",
        name=_("Writing assistant"),
        summary=_("Check the facts of a text, score it, and write it better."),
        method=Method.SCORE,
        instructions=_(
            "Check the text against the facts shown with the request, then score it on both scales.\n\n"
            "- **Facts**: a wrong or invented fact weighs more than one that is missing.\n"
            "- **Style**: is it friendly, clear and no longer than it needs to be?\n\n"
            "Then change in the text what you would change. Your version is taken as better than the one you were "
            "shown; leave the text as it is when it needs nothing."
        ),
        prompt=_("Write a note for the readers of the town library: new hours from March on."),
        responses=(_("Dear readers, from March on we are open until nine on Thursdays. See you soon!"),),
        context=_("- Closed on Mondays from March on.\n- Open until nine on Thursdays."),
        criteria=(
            {
                "key": "facts",
                "name": _("Facts"),
                "description": _("Are the facts right, and are all of them there?"),
                "maximum": 3,
                "labels": {"1": _("one is wrong"), "2": _("one is missing"), "3": _("all right")},
            },
            {
                "key": "style",
                "name": _("Style"),
                "description": _("Would you send it like this?"),
                "labels": {"1": _("never"), "5": _("at once")},
            },
        ),
        settings={"ask_rewrite": True},
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
        prompt="Der Zug nach Freiburg hat heute leider etwa zwanzig Minuten Verspätung.",  # the source stays German
        responses=(_("Unfortunately, the train to Freiburg is about twenty minutes late today."),),
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
        settings={"side_by_side": True},
    ),
    StudyTemplate(
        key="questions",
        name=_("Question answering"),
        summary=_("Which of two answers is right, and can the question be answered at all?"),
        method=Method.COMPARE,
        instructions=_(
            "Choose the answer that is **right** and helps the person who asked. A known good answer is shown with the "
            "question where there is one.\n\n"
            "- Say first whether the question **can be answered** from what stands there.\n"
            "- A wrong answer loses against one that says that it does not know.\n"
            "- If both are right, choose the one that is clearer and no longer than it needs to be."
        ),
        prompt=_("Why does the moon always show us the same side?"),
        responses=(
            _(
                "Because it turns once around itself in the same time in which it goes once around the Earth. The "
                "Earth's pull has slowed its turning down to that."
            ),
            _("The moon does not turn at all, so we only ever see one side of it."),
            _("Nobody knows."),
        ),
        reference=_("It turns once around itself in the time in which it goes once around the Earth."),
        settings={
            "text_format": TextFormat.MARKDOWN,
            "show_reference": True,
            "label_question": _("Can the question be answered?"),
            "labels": [_("answerable"), _("not answerable")],
        },
    ),
    StudyTemplate(
        key="classification",
        name=_("Classification"),
        summary=_("Which label does a text deserve, and is the one that a model gave to it right?"),
        method=Method.SCORE,
        instructions=_(
            "The prompt is a text, the response the label that a model gave to it. Choose the label that you would "
            "give and say how sure you are; then say whether the model's label is right.\n\n"
            "Judge by the text alone, and by what its writer meant, irony included."
        ),
        prompt=_("The room was tiny, but we have rarely slept better or laughed more at breakfast."),
        responses=(_("positive"),),
        criteria=(
            {
                "key": "right",
                "name": _("Is the model's label right?"),
                "minimum": 0,
                "maximum": 2,
                "labels": {"0": _("wrong"), "1": _("partly"), "2": _("right")},
            },
        ),
        settings={
            "label_question": _("Which label is right?"),
            "labels": [_("positive"), _("negative"), _("mixed")],
            "ask_confidence": True,
        },
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
        prompt=_(
            "Person: I would like to repaint a chair that stands on our balcony.\n\n"
            "Assistant: A nice plan. Is it made of wood or of metal?\n\n"
            "Person: Wood, and the old paint comes off in flakes."
        ),
        responses=(
            _("Then sand it down to sound paint first, prime the bare wood, and put on two thin coats of paint."),
            _("Any paint will do. Have fun!"),
            _("What kind of chair is it?"),
        ),
        settings={"text_format": TextFormat.DIALOGUE},
    ),
    StudyTemplate(
        key="service",
        name=_("Customer service"),
        summary=_("Which of two replies keeps to the policy and helps the customer?"),
        method=Method.COMPARE,
        instructions=_(
            "Read the whole conversation and the policy shown with it, then both replies. Choose the reply that you "
            "would send.\n\n"
            "- It **keeps to the policy**: a promise against it loses, however friendly it is.\n"
            "- It **helps**: it says what happens next and does not ask what the customer has said already.\n"
            "- It is **polite**, also when the customer is not.\n\n"
            "Choose *both are unacceptable* when you would send neither."
        ),
        prompt=_(
            "Customer: My parcel was due on Monday and there is still nothing.\n\n"
            "Assistant: I am sorry to hear that. What is the number of your order?\n\n"
            "Customer: 4471. I need it by tomorrow, it is a present."
        ),
        responses=(
            _(
                "Thank you. Order 4471 left our warehouse on Saturday, but the carrier has not scanned it since. I can "
                "send a second one by express today, free of charge; it would arrive tomorrow before noon. Shall I?"
            ),
            _("Parcels are sometimes late. Please be patient and have a nice day!"),
            _("Which order do you mean?"),
        ),
        context=_(
            "- A parcel that is two days late or more is sent again by express, free of charge.\n"
            "- Money back only when the customer asks for it.\n"
            "- No discounts on other orders."
        ),
        settings={"text_format": TextFormat.DIALOGUE},
    ),
)
BY_KEY = {template.key: template for template in TEMPLATES}
