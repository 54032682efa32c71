"""The next turn of the loop: the tuned policy's responses become tasks, paired blind with its predecessor's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext, gettext_lazy

from annotate.audit.operations import record
from annotate.collection.leases import create_tasks
from annotate.exchange.exporters.records import engine_prompt
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.tasks import ROUND_PRIORITY
from annotate.models.webhooks import Event
from annotate.webhooks.operations import announce
from core.errors import PalateError
from training.engine.runtime.progress import Reporter
from training.jobs.generate_responses import SPLITS, chosen_prompts, save, write
from training.jobs.score_responses import score
from training.models import ModelKind, ModelVersion, Round, Run
from training.registry import model_versions
from training.runs.job import Job, needed, study_of
from training.runs.options import option

if TYPE_CHECKING:
    from training.engine.models.reward import PreferenceModel


@dataclass(frozen=True)
class Options:
    policy: str = option(
        label=gettext_lazy("Policy"),
        help=gettext_lazy("the tuned policy"),
        of_model="policy",
    )
    against: str = option(
        "",
        label=gettext_lazy("Opponent policy"),
        help=gettext_lazy("the policy to compare with (default: the one it was tuned from)"),
        of_model="policy",
    )
    split: str = option(
        "test",
        label=gettext_lazy("Split"),
        help=gettext_lazy("which prompts; the policy was never tuned on test prompts"),
        choices=SPLITS,
    )
    pairs_per_prompt: int = option(
        2,
        label=gettext_lazy("Pairs per prompt"),
        help=gettext_lazy("number of pairs per prompt"),
        minimum=1,
        maximum=64,
    )
    best_of: int = option(
        0,
        label=gettext_lazy("Best of n"),
        help=gettext_lazy(
            "also compare the policy with the best of this many samples of the other policy, selected by the "
            "preference model it was tuned on; 0 omits this"
        ),
        minimum=0,
        maximum=64,
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
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of the sampling"),
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    path, _ = _pair(study, options)
    if options.best_of == 1:
        raise PalateError(gettext("--best-of must be 0 or at least 2, not 1: the best of one sample is the sample"))
    if options.best_of and not options.temperature:
        raise PalateError(gettext("--best-of needs a --temperature above 0: greedy decoding gives one response"))
    if options.best_of and _chooser(study, path) is None:
        message = gettext("--best-of: nothing is known of a preference model that %(policy)s was tuned on")
        raise PalateError(message % {"policy": options.policy})
    if not chosen_prompts(study, options.split, options.limit):
        message = gettext("--split %(split)s: study %(study)s has no prompts in this split")
        raise PalateError(message % {"split": options.split, "study": study.slug})


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    paths = _pair(study, options)
    prompts = chosen_prompts(study, options.split, options.limit)
    decoding = {
        "max_completion_length": options.max_completion_length,
        "temperature": options.temperature,
        "top_p": 1.0,
        "seed": options.seed + run.pk,
    }

    truncated: list[int] = []  # prompts, by either policy

    def written(path: str, per_prompt: int) -> list[list[str]]:
        reporter.log(f"{path} writes {per_prompt} responses to each of {len(prompts)} prompts")
        texts, cut = write(prompts, path, per_prompt=per_prompt, options=decoding, run=run, reporter=reporter)
        truncated.append(cut)
        return texts

    mine = written(paths[0], options.pairs_per_prompt)
    others = {1: written(paths[1], options.pairs_per_prompt)}
    chooser = _chooser(study, paths[0])
    model = _loaded(chooser) if chooser and (options.best_of or Path(chooser.path).is_dir()) else None
    if options.best_of:
        candidates = written(paths[1], options.best_of * options.pairs_per_prompt)
        others[options.best_of] = _best(model, prompts, candidates, options)
    with transaction.atomic():
        versions = [model_versions.register(study=study, kind=ModelKind.POLICY, path=path) for path in paths]
        tuned = save(run, versions[0], prompts, mine, decoding)
        responses = [*tuned]
        rounds = []
        for best_of, texts in others.items():
            round_ = _open_round(study, *versions, best_of=best_of, by=run.created_by)
            theirs = save(run, versions[1], prompts, texts, decoding, best_of=best_of)
            rounds.append((round_, _make_tasks(study, round_, tuned, theirs)))
            responses += theirs
        if chooser and model:  # a round's page says whether it orders these texts as the raters do
            score(chooser, model, [response for of_prompt in responses for response in of_prompt])
    for round_, tasks in rounds:
        reporter.log(f"round {round_.number}: {tasks} tasks wait for the raters")
    first, tasks = rounds[0]
    return {
        "round": first.number,
        "tasks": tasks,
        "truncated": max(truncated),
        "policy": versions[0].pk,
        "against": versions[1].pk,
        **({"best_of_round": rounds[1][0].number, "best_of_tasks": rounds[1][1]} if options.best_of else {}),
    }


def _make_tasks(study: Study, round_: Round, mine: list[list[Response]], theirs: list[list[Response]]) -> int:
    # The same words from both policies would be a task without a question.
    sets = [
        [a, b]
        for of_mine, of_theirs in zip(mine, theirs, strict=True)
        for a, b in zip(of_mine, of_theirs, strict=False)
        if a.text != b.text
    ]
    return create_tasks(study=study, response_sets=sets, round=round_, priority=ROUND_PRIORITY)


def _loaded(chooser: ModelVersion) -> "PreferenceModel":
    from training.engine.models.reward import PreferenceModel

    return PreferenceModel.load(chooser.path)


def _best(
    model: "PreferenceModel | None", prompts: Sequence[Prompt], drawn: Sequence[Sequence[str]], options: Options
) -> list[list[str]]:
    """For each prompt `pairs_per_prompt` texts, each the best of `best_of` draws of its own."""
    assert model is not None  # checked before the run began
    chosen = []
    for prompt, texts in zip(prompts, drawn, strict=True):
        rewards = dict(zip(texts, model.score([(engine_prompt(prompt), text) for text in texts]), strict=True))
        draws = [texts[n :: options.pairs_per_prompt] for n in range(options.pairs_per_prompt)]
        chosen.append([max(of_one, key=rewards.__getitem__) for of_one in draws if of_one])
    return chosen


def _chooser(study: Study, path: str) -> ModelVersion | None:
    """The preference model that the policy at `path` was tuned on."""
    version = ModelVersion.objects.filter(study=study, kind=ModelKind.POLICY, path=path).first()
    return version.reward if version else None


def _open_round(study: Study, policy: ModelVersion, against: ModelVersion, *, best_of: int, by: User | None) -> Round:
    Study.objects.select_for_update().get(pk=study.pk)  # two rounds at once must not take one number
    last = study.rounds.aggregate(last=Max("number"))["last"] or 0
    round_ = Round.objects.create(
        study=study, number=last + 1, policy=policy, against=against, best_of=best_of, preference=policy.reward
    )
    record(study=study, user=by, action=Action.PROMOTED, subject=str(round_), policy=policy.pk, against=against.pk)
    announce(study_id=study.pk, event=Event.ROUND, round=round_.number, policy=policy.pk, against=against.pk)
    return round_


def _pair(study: Study, options: Options) -> tuple[str, str]:
    """The paths of the tuned policy and of the one it is compared with."""
    path = model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    if options.against:
        return path, model_versions.locate(study, options.against, flag="--against", kind=ModelKind.POLICY)
    version = ModelVersion.objects.filter(study=study, kind=ModelKind.POLICY, path=path).first()
    if version is None or version.parent is None:
        message = gettext("--against is needed: nothing is known of what %(policy)s was tuned from")
        raise PalateError(message % {"policy": options.policy})
    return path, version.parent.path


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Create tasks that compare the tuned policy's responses blind with its predecessor's."),
)
