"""Simulated raters: the demo's and the tests' stand-in for people, plainly marked as simulated in the data."""

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.choices import Kind
from annotate.models.members import Membership
from annotate.models.prompts import Response
from annotate.models.studies import Criterion, Study
from annotate.models.tasks import Assignment, Task
from core.errors import PalateError
from training.demo import raters
from training.engine.runtime.progress import Cancelled, Reporter
from training.models import ModelKind, Run
from training.registry import model_versions
from training.runs.job import Job, needed, study_of
from training.runs.options import option


@dataclass(frozen=True)
class Options:
    judgements: int = option(
        label=gettext_lazy("Number of judgements"),
        help=gettext_lazy("number of judgements to make, as long as tasks are open"),
        minimum=1,
    )
    raters: int = option(
        12,
        label=gettext_lazy("Number of raters"),
        help=gettext_lazy("number of simulated raters"),
        minimum=1,
        maximum=1000,
    )
    taste: str = option(
        "",
        label=gettext_lazy("Taste model"),
        help=gettext_lazy(
            "a preference model that determines their judgements, instead of the demo's rules, which fit only the demo"
        ),
        of_model="preference",
    )
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of the raters' habits and errors"),
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    if not Task.objects.filter(study=study).with_free_slot().exists():
        message = _("study %(study)s has no open tasks; generate responses first")
        raise PalateError(message % {"study": study.slug})
    if options.taste:
        model_versions.locate(study, options.taste, flag="--taste", kind=ModelKind.PREFERENCE)


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    description, worth = _taste(study, options.taste)
    reporter.log(f"hidden preference: {description}")
    crowd = {_member(study, rater.name): rater for rater in raters.crowd(options.raters, options.seed, worth)}
    criteria, rng = list(study.criteria.all()), random.Random(f"{options.seed} {run.pk}")
    waiting, count = list(crowd), 0
    while waiting and count < options.judgements:
        if reporter.cancelled():
            raise Cancelled
        member = rng.choice(waiting)
        if (assignment := lease_next(rater=member)) is None:
            waiting.remove(member)
            continue
        submit(assignment=assignment, answer=_answer(crowd[member], assignment, criteria, rng))
        count += 1
        reporter.progress(count, options.judgements)
    if count < options.judgements:
        reporter.log(f"stopped after {count} judgements: no open tasks are left for these raters")
    return {"judgements": count, "raters": len(crowd)}


def _taste(study: Study, model: str) -> tuple[str, raters.Worth]:
    """What the raters go by, in words and as a function. A preference model in the place of people is how
    over-optimisation is studied (Gao et al. 2022, the "gold" reward model)."""
    if not model:
        return raters.describe(), raters.quality
    from training.engine.models.reward import PreferenceModel

    gold = PreferenceModel.load(model_versions.locate(study, model, flag="--taste", kind=ModelKind.PREFERENCE))

    @functools.cache
    def worth(prompt: str, response: str) -> float:
        return gold.quality(gold.score([(prompt, response)]))[0]

    return f"the quality that {model} gives", worth


@transaction.atomic
def _member(study: Study, name: str) -> Membership:
    member, _made = Membership.objects.get_or_create(study=study, external_id=name, kind=Kind.SIMULATED)
    return member


def _answer(
    rater: raters.SimulatedRater, assignment: Assignment, criteria: list[Criterion], rng: random.Random
) -> Answer:
    texts = dict(Response.objects.filter(pk__in=assignment.shown).values_list("pk", "text"))
    prompt, shown = assignment.task.prompt.text, [texts[pk] for pk in assignment.shown]
    scores = {
        c.key: [_on_scale(rater.score(prompt, text, c.minimum, c.maximum, rng), c) for text in shown] for c in criteria
    }
    if len(shown) == 1:
        return Answer(scores=scores)
    ranks = rater.rank(prompt, shown, rng)
    if len(shown) > 2:
        return Answer(ranks=ranks, scores=scores)
    bad = len(set(ranks)) == 1 and rater.both_unacceptable(prompt, shown, rng)
    strength = rater.strength(prompt, shown, rng) if len(set(ranks)) > 1 else None
    return Answer(ranks=ranks, scores=scores, strength=strength, unacceptable=[bad, bad])


def _on_scale(value: float, criterion: Criterion) -> float:
    """The nearest score that the criterion's scale offers."""
    steps = round((value - criterion.minimum) / criterion.step)
    return min(criterion.maximum, max(criterion.minimum, criterion.minimum + steps * criterion.step))


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Judge a study's open tasks with simulated raters that follow a stated hidden preference."),
)
