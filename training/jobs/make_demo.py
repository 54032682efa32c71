"""Fill a study of a template with the template's demo: prompts of its grammar, and responses of a small model that is
pretrained on the grammar on the spot, or was before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from annotate.models.prompts import Prompt, split_of
from annotate.models.studies import Method, Study
from core.errors import PalateError
from training.demo import cases
from training.demo.prompts import Asked
from training.engine.runtime.progress import Reporter, Stage
from training.jobs import generate_responses, pretrain
from training.models import ModelVersion, Run
from training.runs.job import Job, needed, study_of
from training.runs.options import option

POLICY = "demo-policy"
LONGEST = 80  # tokens of a response
PER_PROMPT = {Method.SCORE: 2, Method.COMPARE: 3}


@dataclass(frozen=True)
class Options:
    template: str = option(
        label=gettext_lazy("Template"),
        help=gettext_lazy("the study template whose demo data are created"),
        choices=tuple(cases.CASES),
    )
    language: str = option(
        "en",
        label=gettext_lazy("Language"),
        help=gettext_lazy("language of the texts"),
        choices=cases.LANGUAGES,
    )
    prompts: int = option(
        60,
        label=gettext_lazy("Number of prompts"),
        help=gettext_lazy("number of prompts to create"),
        minimum=1,
    )
    max_steps: int = option(
        200,
        label=gettext_lazy("Number of steps"),
        help=gettext_lazy("optimizer steps of the model, if it does not exist yet"),
        minimum=1,
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    asked(options)
    if study.prompts.exclude(external_id__startswith="demo-").exists():
        message = gettext("study %(study)s has prompts of its own; a demo is for a study without any")
        raise PalateError(message % {"study": study.slug})


def asked(options: Options) -> list[Asked]:
    """The demo's prompts. Raises PalateError when the template's demo has fewer."""
    try:
        return cases.prompts(cases.grammar(options.template, options.language), options.prompts)
    except ValueError as error:
        raise PalateError(str(error)) from None


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    add_prompts(study, asked(options))
    grammar = cases.grammar(options.template, options.language)
    policy = f"{POLICY}-{grammar}"
    known = ModelVersion.objects.filter(study=None, name=policy).first()
    if known is None:
        learned = pretrain.Options(name=policy, corpus=f"demo:{grammar}", documents=5000, max_steps=options.max_steps)
        path = pretrain.make(run, None, learned, Stage(reporter, 1, 2))["model"]
    else:
        path = known.path
    written = generate_responses.Options(
        model=path, num_generations=PER_PROMPT.get(Method(study.method), study.rank_size), max_completion_length=LONGEST
    )
    return generate_responses.perform(run, written, reporter if known else Stage(reporter, 2, 2))


def add_prompts(study: Study, prompts: list[Asked]) -> None:
    """Give a study a demo's prompts; those that are there already stay."""
    Prompt.objects.bulk_create(
        (
            Prompt(
                study=study,
                external_id=f"demo-{number}",
                text=asked.text,
                reference=asked.reference,
                context=asked.context,
                split=split_of(f"demo-{number}", validation_share=study.validation_share, test_share=study.test_share),
            )
            for number, asked in enumerate(prompts)
        ),
        ignore_conflicts=True,
    )


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy(
        "Fill a study with a template's demo data: prompts, and responses of a small model pretrained for it."
    ),
)
