"""The next turn of the loop: the tuned policy's responses become tasks, paired blind with its predecessor's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from annotate.audit.models import Action
from annotate.audit.operations import record
from annotate.errors import PalateError
from annotate.studies.models import Study
from annotate.tasks.models import ROUND_PRIORITY
from annotate.tasks.operations import create_tasks
from annotate.webhooks.models import Event
from annotate.webhooks.operations import announce
from training import model_versions
from training.engine.progress import Reporter
from training.jobs.generate_responses import SPLITS, chosen_prompts, save, write
from training.jobs.job import Job, needed, study_of
from training.jobs.options import option
from training.models import ModelKind, ModelVersion, Round, Run


@dataclass(frozen=True)
class Options:
    policy: str = option(help="the tuned policy: a model version or a folder", of_model="policy")
    against: str = option("", help="the policy to compare with (default: the one it was tuned from)", of_model="policy")
    split: str = option("test", help="which prompts; test prompts were never tuned on", choices=SPLITS)
    per_prompt: int = option(2, help="pairs for each prompt", minimum=1, maximum=64)
    limit: int = option(0, help="at most this many prompts; 0 takes all", minimum=0)
    max_new_tokens: int = option(64, help="longest response, in tokens", minimum=1, maximum=4096)
    temperature: float = option(1.0, help="sampling temperature", minimum=0.01, maximum=10)
    seed: int = option(0, help="seed of the sampling")


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    _pair(study, options)
    if not chosen_prompts(study, options.split, options.limit):
        raise PalateError(f"--split {options.split}: study {study.slug} has no prompts in this split")


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    paths = _pair(study, options)
    prompts = chosen_prompts(study, options.split, options.limit)
    decoding = {
        "max_new_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "top_p": 1.0,
        "seed": options.seed + run.pk,
    }
    written = []
    for path in paths:
        reporter.log(f"{path} writes {options.per_prompt} responses to each of {len(prompts)} prompts")
        written.append(
            write(prompts, path, per_prompt=options.per_prompt, options=decoding, run=run, reporter=reporter)
        )
    with transaction.atomic():
        versions = [model_versions.register(study=study, kind=ModelKind.POLICY, path=path) for path in paths]
        turn = _open_round(study, *versions, by=run.created_by)
        tuned, base = (
            save(run, version, prompts, texts, decoding) for version, texts in zip(versions, written, strict=True)
        )
        # The same words from both policies would be a task without a question.
        sets = [
            [a, b]
            for mine, theirs in zip(tuned, base, strict=True)
            for a, b in zip(mine, theirs, strict=False)
            if a.text != b.text
        ]
        tasks = create_tasks(study=study, response_sets=sets, round=turn, priority=ROUND_PRIORITY)
    reporter.log(f"round {turn.number}: {tasks} tasks wait for the raters")
    return {"round": turn.number, "tasks": tasks, "policy": versions[0].pk, "against": versions[1].pk}


def _open_round(study: Study, policy: ModelVersion, against: ModelVersion, *, by: User | None) -> Round:
    Study.objects.select_for_update().get(pk=study.pk)  # two rounds at once must not take one number
    last = study.rounds.aggregate(last=Max("number"))["last"] or 0
    turn = Round.objects.create(study=study, number=last + 1, policy=policy, against=against, preference=policy.reward)
    record(study=study, user=by, action=Action.PROMOTED, subject=str(turn), policy=policy.pk, against=against.pk)
    announce(study_id=study.pk, event=Event.ROUND, round=turn.number, policy=policy.pk, against=against.pk)
    return turn


def _pair(study: Study, options: Options) -> tuple[str, str]:
    """The paths of the tuned policy and of the one it is compared with."""
    path = model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    if options.against:
        return path, model_versions.locate(study, options.against, flag="--against", kind=ModelKind.POLICY)
    version = ModelVersion.objects.filter(study=study, kind=ModelKind.POLICY, path=path).first()
    if version is None or version.parent is None:
        raise PalateError(f"--against is needed: nothing is known of what {options.policy} was tuned from")
    return path, version.parent.path


JOB = Job(
    Options,
    check,
    perform,
    "Make the tuned policy's responses new tasks, paired blind with its predecessor's.",
)
