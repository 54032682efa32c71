"""Let a preference model score a study's responses: rewards and calibrated chances for pages, the API and the loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.exchange.exporters.records import engine_prompt
from annotate.models.prompts import Response
from annotate.models.studies import Study
from core.errors import PalateError
from training.engine.runtime.progress import Reporter, advance
from training.jobs.generate_responses import SPLITS
from training.models import ModelKind, ModelVersion, ResponseReward, Run
from training.registry import model_versions
from training.runs.job import Job, needed, study_of
from training.runs.options import PRECISION, option

if TYPE_CHECKING:
    from training.engine.models.reward import PreferenceModel

BATCH_SIZE = 256


@dataclass(frozen=True)
class Options:
    model: str = option(
        label=gettext_lazy("Model"),
        help=gettext_lazy("the preference model"),
        of_model="preference",
    )
    split: str = option(
        "all",
        label=gettext_lazy("Split"),
        help=gettext_lazy("prompts whose responses are scored"),
        choices=SPLITS,
    )
    precision: str = PRECISION


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    path = model_versions.locate(study, options.model, flag="--model", kind=ModelKind.PREFERENCE)
    model_versions.check_precision(path, options.precision)
    if not _responses(study, options.split).exists():
        message = _("study %(study)s has no responses in the split %(split)s")
        raise PalateError(message % {"study": study.slug, "split": options.split})


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    """Scores what this model has not scored yet; what a cancelled run has scored is kept."""
    from training.engine.models.reward import PreferenceModel

    study = study_of(run)
    path = model_versions.locate(study, options.model, flag="--model", kind=ModelKind.PREFERENCE)
    version = model_versions.register(study=study, kind=ModelKind.PREFERENCE, path=path)
    model = PreferenceModel.load(path, options.precision)
    responses = _responses(study, options.split)
    known = responses.count()
    # By prompt: a model that shares the reading of a prompt reads it once.
    new = list(responses.exclude(rewards__version=version).order_by("prompt_id", "id").values_list("pk", flat=True))
    for start in range(0, len(new), BATCH_SIZE):
        part = list(Response.objects.filter(pk__in=new[start : start + BATCH_SIZE]).select_related("prompt"))
        score(version, model, part)
        advance(reporter, min(start + BATCH_SIZE, len(new)), len(new))
    reporter.log(f"{len(new)} responses scored, {known - len(new)} had been before")
    return {"model": version.name, "scored": len(new), "scored_before": known - len(new)}


def score(version: ModelVersion, model: "PreferenceModel", responses: Sequence[Response]) -> None:
    """Store what the model, registered as `version`, thinks of the responses."""
    from training.engine.models.reward import spread

    members = model.score_members([(engine_prompt(response.prompt), response.text) for response in responses])
    ResponseReward.objects.bulk_create(
        [
            ResponseReward(
                version=version,
                response=response,
                reward=sum(rewards) / len(rewards),
                log_odds=model.log_odds(sum(rewards) / len(rewards)),
                spread=apart if len(rewards) > 1 else None,
            )
            for response, rewards, apart in zip(responses, members, spread(members), strict=True)
        ],
        ignore_conflicts=True,
    )


def _responses(study: Study, split: str) -> Any:
    responses = Response.objects.filter(prompt__study=study)
    return responses if split == "all" else responses.filter(prompt__split=split)


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Score a study's responses with a preference model: reward, quality and win probabilities."),
)
