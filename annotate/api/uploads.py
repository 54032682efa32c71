"""Entries of an API request as bundles, so that they are checked and stored like the rows of a file."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row
from annotate.exchange.formats import plain
from annotate.exchange.importers.checks import check
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse
from annotate.exchange.importers.writer import Writer
from annotate.models.prompts import Prompt
from annotate.models.studies import Study


def lock_for_upload(study: Study) -> None:
    """Inside a transaction: let uploads to one study take turns, so that the second finds what the first has added."""
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)


def add_prompts(*, study: Study, entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    lock_for_upload(study)
    return _add(study, [b for row in _rows(entries) for b in plain.prompts(row)])


def add_responses(*, study: Study, entries: Sequence[Mapping[str, Any]], make_tasks: bool) -> dict[str, int]:
    lock_for_upload(study)
    return _add(study, [b for row in _rows(entries) for b in plain.responses(row)], make_tasks=make_tasks)


def add_judgements(*, study: Study, entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Judgements made elsewhere on prompts and responses that the study has."""
    lock_for_upload(study)
    found = study.prompts.filter(external_id__in={entry["prompt_id"] for entry in entries})
    prompts = {prompt.external_id: prompt for prompt in found.prefetch_related("responses")}
    criteria = set(study.criteria.values_list("key", flat=True))
    return _add(study, [_judged(row, prompts, study.labels, criteria) for row in _rows(entries)])


def _rows(entries: Sequence[Mapping[str, Any]]) -> list[Row]:
    return [Row(Path("request"), number, dict(entry)) for number, entry in enumerate(entries, start=1)]


def _judged(row: Row, prompts: Mapping[str, Prompt], labels: Sequence[str], criteria: Collection[str]) -> Bundle:
    values = row.values
    prompt = prompts.get(values["prompt_id"])
    if prompt is None:
        row.fail("prompt_id", _("%(name)r is no prompt of the study"), name=values["prompt_id"])
    texts = {response.external_id: response for response in prompt.responses.all()}
    if unknown := [name for name in values["shown"] if name not in texts]:
        row.fail("shown", _("%(name)r is no response to this prompt"), name=unknown[0])
    if (label := values.get("label", "")) and label not in labels:
        message = _("%(label)r is no label of the study; expected %(known)s")
        row.fail("label", message, label=label, known=", ".join(labels) or _("none"))
    if unknown := [key for key in values.get("scores", {}) if key not in criteria]:
        message = _("%(key)r is no criterion of the study; expected %(known)s")
        row.fail("scores", message, key=unknown[0], known=", ".join(sorted(criteria)) or _("none"))
    judgement = ImportedJudgement(
        external_id=f"api:{values['judgement_id']}",
        shown=values["shown"],
        ranks=values.get("ranks"),
        scores=values.get("scores", {}),
        rater=values["rater"],
        label=label,
        confidence=values.get("confidence"),
        comment=values.get("comment", ""),
        seconds=values.get("seconds"),
        at=values.get("at"),
        order_known=True,
    )
    responses = [
        ImportedResponse(name, texts[name].text, texts[name].author) for name in dict.fromkeys(values["shown"])
    ]
    return Bundle(row, prompt.external_id, prompt.text, responses, [judgement], group=prompt.group, split=prompt.split)


def _add(study: Study, bundles: list[Bundle], *, make_tasks: bool = False) -> dict[str, int]:
    for bundle in bundles:
        check(bundle)
    writer = Writer(study, "api", scales={}, make_tasks=make_tasks)
    writer.take(bundles)
    return {name: writer.counts[name] for name in Writer.COUNTED}
