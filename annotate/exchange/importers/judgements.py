"""Import of judgements with their prompts and responses, in three files. All or nothing, and idempotent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from django.db import transaction

from annotate.exchange.importers.analyze_tables import analyse
from annotate.exchange.importers.import_records import Bundle
from annotate.exchange.importers.judgement_files import read_judgements, read_responses
from annotate.exchange.importers.prompts import Report, read_prompts
from annotate.exchange.importers.studies import study_for_import
from annotate.exchange.importers.writer import DEFAULT_SCALE, Writer, chunks
from annotate.models.prompts import Prompt
from annotate.models.studies import Method

Scales = Mapping[str, tuple[float, float]]


@transaction.atomic
def import_judgements(
    *,
    slug: str,
    prompts: Path,
    responses: Path,
    judgements: Path,
    group_by: str = "",
    scales: Scales | None = None,
    report: Report | None = None,
) -> dict[str, int | str]:
    """Store prompts, responses and judgements in a study, which is made when it is new.

    Criteria that the study lacks get the range in `scales`, or else 0 to 100. Importing the same files again adds
    nothing. Raises PalateError that names file, line and field, and then nothing is stored.
    """
    asked = list(read_prompts(prompts, group_by=group_by))
    texts = dict(Prompt.objects.filter(study__slug=slug).values_list("external_id", "text"))
    written = read_responses(responses, {**{bundle.prompt_id: bundle.prompt for bundle in asked}, **texts})
    judged = list(read_judgements(judgements, written))
    new_scales = {key: (scales or {}).get(key, DEFAULT_SCALE) for key in _criteria(judged)}
    criteria = [{"key": key, "minimum": low, "maximum": high} for key, (low, high) in new_scales.items()]
    study, made = study_for_import(slug, _method(judged), criteria)
    writer = Writer(study, "judgements", scales=new_scales)
    done = 0
    for chunk in chunks(chain(asked, written.values(), judged)):
        writer.take(chunk)
        done += sum(len(bundle.judgements) for bundle in chunk)
        if report and done:
            report(done, len(judged))
    names = ("prompts", "responses", "raters", "judgements", "judgements_already_there")
    analyse(writer.brought)
    counts = {name: writer.counts[name] for name in (*names, "repeats", "duplicate_judgements")}
    return {"study": study.slug, "study_created": int(made), **counts}


def _criteria(judged: Sequence[Bundle]) -> list[str]:
    return sorted({key for bundle in judged for judgement in bundle.judgements for key in judgement.scores})


def _method(judged: Sequence[Bundle]) -> str:
    sizes = Counter(len(judgement.shown) for bundle in judged for judgement in bundle.judgements)
    most = sizes.most_common(1)[0][0] if sizes else 2
    return Method.SCORE if most == 1 else Method.COMPARE if most == 2 else Method.RANK
