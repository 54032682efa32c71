"""Train a preference model on a snapshot of the study's judgements, and evaluate it on held-out prompts."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from annotate.exchange.exporters.records import records_of
from annotate.models.judgements import Judgement
from annotate.models.prompts import Split
from annotate.models.studies import Study
from core.errors import PalateError
from core.revision import revision
from training.engine.runtime.progress import Reporter, SilentReporter
from training.jobs.preference_report import Trained, report_on
from training.jobs.train_preference_options import FROM_NOTHING, Options
from training.models import ModelKind, Run, Snapshot
from training.registry import card_files, cards, model_versions, snapshots
from training.runs import tracking
from training.runs.job import Job, needed, study_of
from training.runs.reporting import run_folder


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    snapshots.check_trainable(study)
    model_versions.check_output(options.output)
    _criterion_weights(study, options.criteria)
    tracking.check(options.report_to)
    _check_memory_options(options)
    if options.position and not Judgement.objects.counted().of_study(study).with_known_order().exists():
        message = gettext(
            "--position: the study has no comparison whose order shown is known; imports of chosen and rejected "
            "responses do not tell it"
        )
        raise PalateError(message)
    if options.base_model:
        if options.kind in ("cnn", "rnn"):
            message = gettext("--base-model: a model of kind %(kind)s starts from nothing; leave it out")
            raise PalateError(message % {"kind": options.kind})
        model_versions.locate(study, options.base_model, flag="--base-model")
    elif options.kind not in FROM_NOTHING:
        message = gettext("--base-model is needed for --kind %(kind)s; linear, cnn and rnn need none")
        raise PalateError(message % {"kind": options.kind})


def _check_memory_options(options: Options) -> None:
    if options.engine == "trainer" and options.kind in FROM_NOTHING:
        message = gettext("--engine trainer trains encoders and causal models; leave it out for --kind %(kind)s")
        raise PalateError(message % {"kind": options.kind})
    if not options.load_in_4bit:
        return
    if not options.lora_r:
        message = gettext(
            "--load-in-4bit: a base of 4 bits learns nothing itself; add adapters by --lora-r, such as 16"
        )
        raise PalateError(message)
    if options.engine == "trainer" or options.kind in FROM_NOTHING:
        raise PalateError(gettext("--load-in-4bit goes with --engine palate and an encoder or a causal model"))
    if importlib.util.find_spec("bitsandbytes") is None:
        raise PalateError(
            gettext("--load-in-4bit: the package bitsandbytes is not installed; pip install bitsandbytes")
        )


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    base = options.base_model and model_versions.locate(study, options.base_model, flag="--base-model")
    snapshot = snapshots.of_run(run, study)
    reporter.log(f"{snapshot} with {snapshots.size(snapshot)} judgements")
    output = model_versions.output_folder(run, options.output)
    with model_versions.saved_whole(output) as folder:
        with tracking.tracked(reporter, options.report_to, run, name=output.name) as listening:
            metrics = _train(study, snapshot, base, folder, options, listening, run_folder(run))
        trained = Trained(study, snapshot, base, folder, config_of(study, options))
        metrics["evaluation"], report = report_on(
            trained, reporter, curve=options.learning_curve, explain=options.explain
        )
        metrics |= {"snapshot": snapshot.sha256, "revision": revision()}
        card = cards.preference_card(options.name or output.name, study, snapshot, base, metrics)
        facts = cards.preference_facts(study, snapshot, base, metrics)
        card_files.write(folder, options.name or output.name, card, facts)
        model_versions.write_papers(folder, training=metrics, report=report)
    version = model_versions.register(
        study=study,
        kind=ModelKind.PREFERENCE,
        path=str(output),
        name=options.name,
        run=run,
        snapshot=snapshot,
        parent=model_versions.of_path(study, base),
        metrics=metrics,
        report=report,
        card=card,
    )
    reporter.log(cards.format_evaluation(metrics["evaluation"]))
    return {"model": str(output), "model_version": version.pk, **metrics}


def assist(study: Study | None, options: Options, begun: Run | None) -> None:
    """Train along with the process that has the run; only that one saves."""
    check(study, options)
    study = needed(study)
    base = options.base_model and model_versions.locate(study, options.base_model, flag="--base-model")
    _train(study, snapshots.of_begun(begun, study), base, Path(), options, SilentReporter(), None)


def _train(
    study: Study,
    snapshot: Snapshot,
    base: str,
    folder: Path,
    options: Options,
    reporter: Reporter,
    checkpoints: Path | None,
) -> dict[str, Any]:
    from training.engine.preference.training import train_preference

    return train_preference(
        records_of(snapshots.judgements_of(snapshot, Split.TRAIN)),
        records_of(snapshots.judgements_of(snapshot, Split.VALIDATION)),
        base_model=base,
        output=folder,
        config=config_of(study, options),
        reporter=reporter,
        checkpoints=checkpoints,
    )


def config_of(study: Study, options: Options) -> Any:
    """The engine's configuration of these options."""
    from training.engine.objectives.scores import ScoreOptions
    from training.engine.objectives.votes import VoteOptions
    from training.engine.preference.training import PreferenceConfig

    votes = VoteOptions(
        ties=options.ties,
        reliability=options.reliability,
        position=options.position,
        label_smoothing=options.label_smoothing,
        margin=options.margin,
        by_prompt=options.by_prompt,
        whole_rankings=options.whole_rankings,
        majority=options.votes == "majority",
    )
    scores = ScoreOptions(
        likelihood=options.scores,
        by_rater=options.score_by_rater,
        intercepts=options.score_intercepts,
        weight=options.score_weight,
    )
    same = {field.name for field in dataclasses.fields(PreferenceConfig)} - {"votes", "scores"}
    values = {name: value for name, value in dataclasses.asdict(options).items() if name in same}
    weights = _criterion_weights(study, options.criteria)
    return PreferenceConfig(**values, votes=votes, scores=scores, criterion_weights=weights)


def _criterion_weights(study: Study, text: str) -> dict[str, float]:
    """Criterion to weight: those named, or else the study's."""
    known = {criterion.key: criterion.weight for criterion in study.criteria.all()}
    if not text:
        return known
    weights = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in known:
            message = gettext("--criteria %(part)s: no such criterion; the study has %(known)s")
            raise PalateError(message % {"part": part.strip(), "known": ", ".join(known) or "–"})
        try:
            weights[key] = float(value)
        except ValueError:
            message = gettext("--criteria %(part)s: expected %(key)s=NUMBER")
            raise PalateError(message % {"part": part.strip(), "key": key}) from None
        if not 0 <= weights[key] < float("inf"):
            raise PalateError(gettext("--criteria %(part)s: a weight is 0 or more") % {"part": part.strip()})
    return dict.fromkeys(known, 0.0) | weights


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Train a preference model on a study's judgements and evaluate it on held-out prompts."),
    assist,
)
