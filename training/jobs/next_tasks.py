"""Choose what is judged next: tasks that teach most, by a rule, and a share that chance draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.collection.prioritization import prioritize
from annotate.exchange.exporters.records import engine_prompt, records_of
from annotate.models.choices import ChosenBy
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.tasks import Task
from core.errors import PalateError
from core.records import Pair, pairs_of
from training.engine.runtime.progress import Cancelled, Reporter
from training.jobs.generate_responses import SPLITS
from training.models import ModelKind, ModelVersion, Run
from training.registry import model_versions
from training.rounds import candidates
from training.rounds.candidates import Candidate
from training.runs.job import Job, needed, study_of
from training.runs.options import option

if TYPE_CHECKING:
    from training.engine.active_learning import selection

CHUNK = 256


@dataclass(frozen=True)
class Options:
    by: str = option(
        label=gettext_lazy("Selection rule"),
        help=gettext_lazy(
            "uncertainty: where ensemble members disagree; disagreement: where raters disagree; information: where "
            "the comparisons so far are least informative; random: at random"
        ),
        choices=("uncertainty", "disagreement", "information", "random"),
    )
    count: int = option(
        100,
        label=gettext_lazy("Number of open tasks"),
        help=gettext_lazy("number of open tasks to prioritize"),
        minimum=0,
        maximum=10_000,
    )
    new: int = option(
        0,
        label=gettext_lazy("Number of new tasks"),
        help=gettext_lazy("number of tasks to create from two responses that no task compares yet"),
        minimum=0,
        maximum=10_000,
    )
    random_share: float = option(
        0.2,
        label=gettext_lazy("Random share"),
        help=gettext_lazy("share of them that is drawn at random, as a sample for statistics"),
        minimum=0,
        maximum=1,
    )
    model: str = option(
        "",
        label=gettext_lazy("Model"),
        help=gettext_lazy("the preference model, an ensemble (default: the study's newest)"),
        of_model="preference",
    )
    split: str = option(
        "train",
        label=gettext_lazy("Split"),
        help=gettext_lazy("which prompts; a rule on test prompts would bias the measurements there"),
        choices=SPLITS,
    )
    pool: int = option(
        10_000,
        label=gettext_lazy("Candidate pool size"),
        help=gettext_lazy("maximum number of tasks to consider, sampled at random"),
        minimum=1,
        maximum=1_000_000,
        advanced=gettext_lazy("Cost and order"),
    )
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of the order of equally good tasks"),
        advanced=gettext_lazy("Cost and order"),
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    if not options.count + options.new:
        raise PalateError(_("--count and --new are both 0: nothing would be chosen"))
    prompts = candidates.prompts_of(study, options.split)
    if not options.new and not Task.objects.with_free_slot().filter(study=study, prompt__in=prompts).exists():
        message = _(
            "study %(study)s has no open tasks on its %(split)s prompts; --new N makes tasks of responses that were "
            "not compared yet"
        )
        raise PalateError(message % {"study": study.slug, "split": options.split})
    if options.new and options.by == ChosenBy.DISAGREEMENT:
        raise PalateError(_("--new: nobody has judged these yet, so nobody disagrees; take uncertainty or information"))
    if options.by == ChosenBy.UNCERTAINTY:
        _ensemble(study, options.model)
    elif options.by != ChosenBy.RANDOM and not Judgement.objects.counted().of_study(study).exists():
        message = _("study %(study)s has no judgements yet, which --by %(by)s asks; take random")
        raise PalateError(message % {"study": study.slug, "by": options.by})


def _ensemble(study: Study, model: str) -> str:
    """The path of a preference model with two members or more."""
    if not model:
        newest = ModelVersion.objects.filter(study=study, kind=ModelKind.PREFERENCE).order_by("-pk").first()
        if newest is None:
            message = _("--model is needed: study %(study)s has no preference model yet")
            raise PalateError(message % {"study": study.slug})
        model = str(newest.pk)
    path = model_versions.locate(study, model, flag="--model", kind=ModelKind.PREFERENCE)
    if model_versions.members(path) < 2:
        message = _(
            "--model %(model)s: one model alone cannot say how sure it is; train one with --ensemble 4, or take "
            "another rule"
        )
        raise PalateError(message % {"model": model})
    return path


@dataclass(frozen=True)
class Chosen:
    """What a rule chose, best first; what chance drew; and the keys of all that the random sample now holds."""

    by_rule: list[Candidate]
    at_random: list[Candidate]
    sample: list[str]


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    from training.engine.active_learning.selection import mixed

    study, rng = study_of(run), np.random.default_rng(options.seed)
    planned, made = candidates.tasks_of(study, options.split)
    # Chance draws from the study's own tasks; a rule chooses from all that are open.
    there = _choose(study, planned, [*planned, *made], options.count, options, rng, reporter)
    pairs = candidates.pairs_of(study, options.split, planned, made) if options.new else []
    new = _choose(study, pairs, pairs, options.new, options, rng, reporter)
    by_rule, at_random = [*there.by_rule, *new.by_rule], [*there.at_random, *new.at_random]
    if not by_rule + at_random:
        message = _("study %(study)s: no task with responses that differ is open; --new N makes some")
        raise PalateError(message % {"study": study.slug})
    tasks = prioritize(
        study=study,
        order=[candidate.key for candidate in mixed(by_rule, at_random)],
        by=options.by,
        sample=[*there.sample, *new.sample],
        new=_responses([*new.by_rule, *new.at_random]),
    )
    reporter.log(
        f"{len(by_rule)} tasks put forward by {options.by}, {len(at_random)} drawn at random; {tasks} of them are new"
    )
    return {
        "prioritized": len(by_rule) + len(at_random),
        "by_rule": len(by_rule),
        "at_random": len(at_random),
        "tasks_made": tasks,
        "sample": len(there.sample) + len(new.sample),
    }


def _choose(
    study: Study,
    population: Sequence[Candidate],
    among: Sequence[Candidate],
    count: int,
    options: Options,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Chosen:
    from training.engine.active_learning import selection  # at run time, where torch may be imported

    if not count:
        return Chosen([], [], [])
    part = count if options.by == ChosenBy.RANDOM else selection.random_part(count, options.random_share)
    keys, drawn, fresh = ([getattr(c, name) for c in population] for name in ("key", "drawn", "fresh"))
    inside = [population[n] for n in selection.sample(keys, drawn, fresh, part)] if part else []
    at_random = [candidate for candidate in inside if candidate.fresh][:part]
    taken = {candidate.key for candidate in at_random}
    rest = [candidate for candidate in among if candidate.open and candidate.key not in taken]
    if options.by in (ChosenBy.DISAGREEMENT, ChosenBy.INFORMATION):
        rest = [candidate for candidate in rest if len(candidate.responses) > 1]
    rest = [rest[n] for n in rng.permutation(len(rest))[: options.pool]]
    count_by_rule = min(count - len(at_random), len(rest))
    by_rule: list[Candidate] = []
    if count_by_rule and options.by != ChosenBy.RANDOM:
        rule = _RULES[options.by](study, rest, options, reporter)
        by_rule = [rest[n] for n in selection.best(rule, [candidate.twin for candidate in rest], count_by_rule, rng)]
    return Chosen(by_rule, at_random, [candidate.key for candidate in inside])


def _uncertainty(study: Study, rest: Sequence[Candidate], options: Options, reporter: Reporter) -> "selection.Rule":
    from scipy.special import expit

    from training.engine.active_learning.selection import Scores, model_information
    from training.engine.models.reward import PreferenceModel

    model = PreferenceModel.load(_ensemble(study, options.model))
    rewards = _rewards(model, rest, reporter)
    scores = np.zeros(len(rest))
    for n, candidate in enumerate(rest):
        own = np.array([rewards[pk] for pk in candidate.responses])
        # A response that is scored alone is compared with the average one.
        pairs = list(combinations(own, 2)) or [(own[0], np.full_like(own[0], model.centre))]
        probability = expit(np.array([a - b for a, b in pairs]) / model.temperature)
        scores[n] = model_information(probability).mean()
    if not scores.max(initial=0.0) > 1e-12:
        message = _(
            "the members of the model agree in everything, so none of them is in doubt; linear models differ only "
            "when they are trained with --ensemble-of heads"
        )
        raise PalateError(message)
    return Scores(scores, [candidate.prompt for candidate in rest])


def _rewards(model: Any, rest: Sequence[Candidate], reporter: Reporter) -> dict[int, np.ndarray]:
    """The members' rewards (M,) of each response that the candidates mention."""
    prompts = {prompt.pk: engine_prompt(prompt) for prompt in Prompt.objects.filter(pk__in={c.prompt for c in rest})}
    responses = sorted({pk for candidate in rest for pk in candidate.responses})
    rewards: dict[int, np.ndarray] = {}
    for start in range(0, len(responses), CHUNK):
        if reporter.cancelled():
            raise Cancelled
        part = Response.objects.filter(pk__in=responses[start : start + CHUNK]).values_list("pk", "prompt", "text")
        rows = model.score_members([(prompts[prompt], text) for _, prompt, text in part])
        rewards.update((pk, np.array(row)) for (pk, *_), row in zip(part, rows, strict=True))
        reporter.progress(min(start + CHUNK, len(responses)), len(responses))
    return rewards


def _disagreement(study: Study, rest: Sequence[Candidate], options: Options, reporter: Reporter) -> "selection.Rule":
    from training.engine.active_learning.selection import Scores, disagreement

    votes = {
        frozenset((int(pair.a_id), int(pair.b_id))): (pair.wins_a, pair.wins_b, pair.ties)
        for pair in _judged(study, rest)
    }
    scores = [
        disagreement(np.array([votes.get(frozenset(pair), (0, 0, 0)) for pair in combinations(c.responses, 2)])).mean()
        for c in rest
    ]
    return Scores(np.array(scores), [candidate.prompt for candidate in rest])


def _information(study: Study, rest: Sequence[Candidate], options: Options, reporter: Reporter) -> "selection.Rule":
    from training.engine.active_learning.selection import Graphs

    pairs = _judged(study, rest)
    prompt_of = {pk: candidate.prompt for candidate in rest for pk in candidate.responses}
    prompt_of |= {int(pk): int(pair.prompt_id) for pair in pairs for pk in (pair.a_id, pair.b_id)}
    place = {pk: n for n, pk in enumerate(prompt_of)}
    return Graphs(
        [[place[pk] for pk in candidate.responses] for candidate in rest],
        list(prompt_of.values()),
        [(place[int(p.a_id)], place[int(p.b_id)], p.share_a, p.votes_weight) for p in pairs],
    )


def _judged(study: Study, rest: Sequence[Candidate]) -> list[Pair]:
    """The pairs with votes on the candidates' prompts."""
    prompts = {candidate.prompt for candidate in rest}
    return pairs_of(records_of(Judgement.objects.counted().of_study(study).filter(task__prompt__in=prompts)))


_RULES: dict[str, Callable[..., "selection.Rule"]] = {
    ChosenBy.UNCERTAINTY: _uncertainty,
    ChosenBy.DISAGREEMENT: _disagreement,
    ChosenBy.INFORMATION: _information,
}


def _responses(chosen: Sequence[Candidate]) -> list[list[Response]]:
    rows = Response.objects.in_bulk({pk for candidate in chosen for pk in candidate.responses})
    return [[rows[pk] for pk in candidate.responses] for candidate in chosen]


JOB = Job(Options, check, perform, gettext_lazy("Prioritize the tasks that teach most, and a random share."))
