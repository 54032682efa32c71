"""The one adapter that turns judgements into the engine's records."""

from collections.abc import Iterator

from django.db.models import QuerySet

from annotate.models.judgement_queries import JudgementQuerySet
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Criterion
from core.records import Record, prompt_of


def records_of(judgements: JudgementQuerySet) -> Iterator[Record]:
    """One record a judgement. Texts are loaded once and shared, whatever the number of judgements on them."""
    studies = set(judgements.values_list("task__study", flat=True).order_by().distinct())
    scales = {(c.study_id, c.key): c for c in Criterion.objects.filter(study__in=studies)}
    texts = {
        pk: (str(pk), text, model or name)
        for pk, text, name, model in Response.objects.filter(prompt__study__in=studies)
        .values_list("pk", "text", "author_name", "author_model__name")
        .iterator()
    }
    prompts = _prompts(judgements)
    raters: dict[int, str] = {}
    rows = judgements.order_by("id").values_list(
        "task__study",
        "task__prompt",
        "rater",
        "shown",
        "ranks",
        "scores",
        "strength",
        "unacceptable",
        "order_known",
    )
    for study, prompt, rater, shown, ranks, scores, strength, unacceptable, order_known in rows.iterator(
        chunk_size=5000
    ):
        prompt_id, group, text = prompts[prompt]
        yield Record(
            prompt_id=prompt_id,
            group=group,
            prompt=text,
            response_ids=tuple(texts[pk][0] for pk in shown),
            responses=tuple(texts[pk][1] for pk in shown),
            ranks=tuple(ranks) if ranks is not None else None,
            rater=raters.setdefault(rater, f"r{rater}"),
            scores={key: _in_unit(values, scales[study, key]) for key, values in scores.items()},
            strength=strength,
            unacceptable=tuple(unacceptable),
            authors=tuple(texts[pk][2] for pk in shown),
            order_known=order_known,
        )


def engine_prompt(prompt: Prompt) -> str:
    """The prompt as the engine takes it: its text, with the messages of a conversation."""
    return prompt_of(prompt.text, prompt.messages)


def items_of(responses: QuerySet[Response]) -> Iterator[tuple[str, str]]:
    """(prompt, text) of each response, as the engine takes them."""
    rows = responses.values_list("prompt__text", "prompt__messages", "text")
    return ((prompt_of(prompt, messages), text) for prompt, messages, text in rows.iterator(chunk_size=2000))


def _prompts(judgements: JudgementQuerySet) -> dict[int, tuple[str, str, str]]:
    """Primary key to (id, group, text); a prompt without a group is a group of its own."""
    prompts = Prompt.objects.filter(pk__in=judgements.values("task__prompt").order_by())
    return {
        prompt.pk: (str(prompt.pk), prompt.group or prompt.external_id, engine_prompt(prompt))
        for prompt in prompts.only("external_id", "group", "text", "messages")
    }


def _in_unit(values: list[float], scale: Criterion) -> tuple[float, ...]:
    return tuple((value - scale.minimum) / (scale.maximum - scale.minimum) for value in values)
