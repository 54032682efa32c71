"""Train a preference model on a snapshot of the study's judgements, and evaluate it on held-out prompts."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotate.exchange.records import records_of
from annotate.judgements.models import Judgement
from annotate.prompts.models import Split
from annotate.studies.models import Study
from training import cards, model_versions, snapshots
from training.engine.progress import Reporter
from training.jobs.job import Job, needed, study_of
from training.jobs.options import option
from training.models import ModelKind, ModelVersion, Run, Snapshot


@dataclasses.dataclass(frozen=True)
class Options:
    base_model: str = option(
        help="encoder or causal model to start from: a model version, a folder or a hub name",
        of_model="policy",
    )
    output: str = option("", help="folder to save the model in (default: one under var/models)")
    name: str = option("", help="name of the model version")
    epochs: int = option(8, help="passes over the training pairs; the best by validation loss is kept", minimum=1)
    learning_rate: float = option(0.0, help="0 takes a value by the model's size", minimum=0, maximum=1)
    max_length: int = option(256, help="tokens of prompt and response together", minimum=8, maximum=8192)
    seed: int = option(0, help="seed of the head's weights and of the batches")


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    snapshots.check_trainable(study)
    model_versions.check_output(options.output)
    model_versions.locate(study, options.base_model, flag="--base-model")


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    base = model_versions.locate(study, options.base_model, flag="--base-model")
    snapshot = snapshots.take(study)
    reporter.log(f"{snapshot} with {len(snapshot.judgement_ids)} judgements")
    output = model_versions.output_folder(run, options.output)
    with model_versions.saved_whole(output) as folder:
        metrics = _train(snapshot, base, folder, options, reporter)
        metrics["evaluation"] = evaluate_split(study, folder, Split.TEST)
        card = cards.preference_card(options.name or output.name, study, snapshot, base, metrics)
        (folder / "README.md").write_text(card, encoding="utf-8")
    version = model_versions.register(
        study=study,
        kind=ModelKind.PREFERENCE,
        path=str(output),
        name=options.name,
        run=run,
        snapshot=snapshot,
        parent=ModelVersion.objects.filter(path=base).order_by("pk").first(),
        metrics=metrics,
        card=card,
    )
    reporter.log(cards.told(metrics["evaluation"]))
    return {"model": str(output), "model_version": version.pk, "snapshot": snapshot.sha256, **metrics}


def _train(snapshot: Snapshot, base: str, folder: Path, options: Options, reporter: Reporter) -> dict[str, Any]:
    from training.engine.reward import PreferenceConfig, train_preference

    config = PreferenceConfig(
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        max_length=options.max_length,
        seed=options.seed,
    )
    return train_preference(
        list(records_of(snapshots.judgements_of(snapshot, Split.TRAIN))),
        list(records_of(snapshots.judgements_of(snapshot, Split.VALIDATION))),
        base_model=base,
        output=folder,
        config=config,
        reporter=reporter,
    )


def evaluate_split(study: Study, path: str | Path, split: str) -> dict[str, Any] | None:
    """The figures of evaluate_preference on the study's live judgements of a split; None when it has none."""
    from training.engine.evaluation import evaluate
    from training.engine.records import pairs_of
    from training.engine.reward import PreferenceModel

    records = list(records_of(Judgement.objects.counted().of_study(study).in_split(split)))
    return evaluate(PreferenceModel.load(path), records) if pairs_of(records) else None


JOB = Job(
    Options,
    check,
    perform,
    "Train a preference model on a study's judgements and evaluate it on held-out prompts.",
)
