"""Let a policy write responses to the study's prompts, and make tasks of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.collection.leases import create_tasks
from annotate.collection.response_sets import response_sets
from annotate.exchange.exporters.records import engine_prompt
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Method, Study
from core.errors import PalateError
from training.engine.runtime.progress import Reporter
from training.models import ModelKind, ModelVersion, Run
from training.registry import model_versions
from training.runs.job import Job, needed, study_of
from training.runs.options import option

SPLITS = ("all", "train", "validation", "test")


@dataclass(frozen=True)
class Options:
    model: str = option(
        label=gettext_lazy("Model"),
        help=gettext_lazy("the policy that writes the responses"),
        of_model="policy",
    )
    num_generations: int = option(
        4,
        label=gettext_lazy("Responses per prompt"),
        help=gettext_lazy("responses to write for each prompt"),
        minimum=1,
        maximum=64,
    )
    rank_size: int = option(
        0,
        label=gettext_lazy("Responses per ranking"),
        help=gettext_lazy("responses in one ranking task; 0 uses the study's setting"),
        minimum=0,
        maximum=10,
    )
    split: str = option(
        "all",
        label=gettext_lazy("Split"),
        help=gettext_lazy("which prompts"),
        choices=SPLITS,
    )
    limit: int = option(
        0,
        label=gettext_lazy("Maximum number of prompts"),
        help=gettext_lazy("maximum number of prompts; 0 uses all"),
        minimum=0,
    )
    max_completion_length: int = option(
        64,
        label=gettext_lazy("Maximum response length (tokens)"),
        help=gettext_lazy("maximum length of a response, in tokens"),
        minimum=1,
        maximum=4096,
    )
    temperature: float = option(
        1.0,
        label=gettext_lazy("Temperature"),
        help=gettext_lazy("sampling temperature; 0 is greedy decoding"),
        minimum=0,
        maximum=10,
    )
    top_p: float = option(
        1.0,
        label=gettext_lazy("Top-p"),
        help=gettext_lazy("sample among the likeliest tokens with this total probability"),
        minimum=0.01,
        maximum=1,
    )
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of the sampling"),
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    if not chosen_prompts(study, options.split, options.limit):
        message = _("study %(study)s has no prompts in the split %(split)s; import some first")
        raise PalateError(message % {"study": study.slug, "split": options.split})
    size = options.rank_size or study.rank_size
    if size < 3:
        raise PalateError(_("--rank-size %(size)d: a ranking has 3 responses or more") % {"size": size})
    if study.method == Method.RANK and options.num_generations < size:
        message = _("--num-generations %(given)d: a ranking of %(size)d needs %(size)d responses or more")
        raise PalateError(message % {"given": options.num_generations, "size": size})
    model_versions.locate(study, options.model, flag="--model", kind=ModelKind.POLICY)


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    prompts = chosen_prompts(study, options.split, options.limit)
    path = model_versions.locate(study, options.model, flag="--model", kind=ModelKind.POLICY)
    texts, truncated = write(
        prompts, path, per_prompt=options.num_generations, options=_decoding(options), run=run, reporter=reporter
    )
    with transaction.atomic():
        version = model_versions.register(study=study, kind=ModelKind.POLICY, path=path)
        responses = save(run, version, prompts, texts, _decoding(options))
        tasks = create_tasks(
            study=study, response_sets=response_sets(study.method, responses, options.rank_size or study.rank_size)
        )
    count = sum(map(len, responses))
    reporter.log(f"{count} responses to {len(prompts)} prompts, {tasks} tasks")
    figures = {"responses": count, "prompts": len(prompts), "truncated": truncated, "tasks": tasks}
    return {**figures, "model_version": version.pk}


def write(
    prompts: Sequence[Prompt],
    path: str,
    *,
    per_prompt: int,
    options: Mapping[str, Any],
    run: Run,
    reporter: Reporter,
) -> tuple[list[list[str]], int]:
    """The distinct texts that the policy at `path` samples for each prompt, of which one may be empty, and how many
    prompts were truncated."""
    from training.engine.data.formatting import truncation
    from training.engine.generation.sampling import generate, load_policy

    policy = load_policy(path)
    texts = [engine_prompt(prompt) for prompt in prompts]
    completions = generate(policy, texts, per_prompt=per_prompt, reporter=reporter, **options)
    truncated = sum(text in policy.truncated for text in texts)
    if message := truncation(truncated, len(texts), policy.room(options["max_completion_length"]), "prompts"):
        reporter.log(message)
    return [list(dict.fromkeys(c.text.replace("\0", "").strip() for c in row)) for row in completions], truncated


def save(
    run: Run,
    version: ModelVersion,
    prompts: Sequence[Prompt],
    texts_by_prompt: Sequence[Sequence[str]],
    decoding: Mapping[str, Any],
    *,
    best_of: int = 1,
) -> list[list[Response]]:
    """Store the texts as responses of `version`, one list a prompt. Those that were chosen among `best_of` draws are no
    plain samples of it, so they carry an author's name of their own instead."""
    author = {"author_model": version} if best_of == 1 else {"author_name": f"{version.name}, best of {best_of}"[:200]}
    rows = [
        [
            Response(
                prompt=prompt,
                external_id=f"run{run.pk}-v{version.pk}-{number}" + (f"-best{best_of}" if best_of > 1 else ""),
                text=text,
                run=run,
                decoding={**decoding, **({"best_of": best_of} if best_of > 1 else {})},
                **author,
            )
            for number, text in enumerate(texts)
        ]
        for prompt, texts in zip(prompts, texts_by_prompt, strict=True)
    ]
    Response.objects.bulk_create([row for of_prompt in rows for row in of_prompt], batch_size=1000)
    return rows


def _decoding(options: Options) -> dict[str, Any]:
    return {k: v for k, v in asdict(options).items() if k in ("max_completion_length", "temperature", "top_p", "seed")}


def chosen_prompts(study: Study, split: str, limit: int) -> list[Prompt]:
    """The study's prompts of a split ("all" for every one), at most `limit` of them unless that is 0."""
    prompts = study.prompts.order_by("id")
    if split != "all":
        prompts = prompts.filter(split=split)
    return list(prompts[:limit] if limit else prompts)


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Write responses to a study's prompts with a policy, and create tasks from them."),
)
