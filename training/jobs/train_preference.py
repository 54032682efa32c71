"""Train a preference model on a snapshot of the study's judgements, and evaluate it on held-out prompts."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils.translation import gettext

from annotate.exchange.exporters.records import records_of
from annotate.models.judgements import Judgement
from annotate.models.prompts import Split
from annotate.models.studies import Study
from core.errors import PalateError
from core.revision import revision
from training.engine.runtime.progress import Reporter, SilentReporter
from training.jobs.preference_report import Trained, report_on
from training.models import ModelKind, Run, Snapshot
from training.registry import card_files, cards, model_versions, snapshots
from training.runs import tracking
from training.runs.job import Job, needed, study_of
from training.runs.options import TRACK, option
from training.runs.reporting import run_folder

KINDS = ("auto", "encoder", "causal", "linear", "cnn", "rnn")
FROM_NOTHING = ("linear", "cnn", "rnn")


@dataclasses.dataclass(frozen=True)
class Options:
    base_model: str = option(
        "",
        help="encoder or causal model to start from; the kinds linear, cnn and rnn need none, and linear with one "
        "reads the states of the frozen model",
        of_model="policy",
    )
    kind: str = option("auto", help="what is trained; auto is what the base model is", choices=KINDS)
    output: str = option("", help="folder to save the model in (default: one under var/models)")
    name: str = option("", help="name of the model version")
    epochs: int = option(8, help="passes over the training pairs; the best by validation loss is kept", minimum=1)
    learning_rate: float = option(0.0, help="0 takes a value by the model's size", minimum=0, maximum=1)
    max_length: int = option(256, help="tokens of prompt and response together", minimum=8, maximum=8192)
    seed: int = option(0, help="seed of the head's weights and of the batches")
    ensemble: int = option(1, help="members of an ensemble, whose spread tells how sure it is", minimum=1, maximum=32)
    reliability: bool = option(False, help="learn how reliable each rater is, and weigh their votes by it")
    position: bool = option(False, help="learn how much the response shown first is favoured, and correct for it")

    ties: str = option(
        "davidson",
        help="how ties are read: by Davidson's model, or as half a win for each",
        choices=("davidson", "half"),
        advanced="Votes",
    )
    votes: str = option(
        "all", help="all votes on a pair count, or the majority's only", choices=("all", "majority"), advanced="Votes"
    )
    whole_rankings: bool = option(
        False, help="read a ranking of three or more as one observation instead of as pairs", advanced="Votes"
    )
    margin: float = option(
        0.0,
        help="how much further apart each step of strength puts two rewards",
        minimum=0,
        maximum=10,
        advanced="Votes",
    )
    smoothing: float = option(
        0.0, help="label smoothing: votes drawn towards one half", minimum=0, maximum=0.5, advanced="Votes"
    )
    by_prompt: bool = option(False, help="each prompt counts the same, however many votes it has", advanced="Votes")
    scores: str = option(
        "squared",
        help="how scores on criteria are read: squared error, an ordinal scale, or not at all",
        choices=("squared", "ordinal", "none"),
        advanced="Scores on criteria",
    )
    score_weight: float = option(
        0.5, help="weight of a score beside a vote", minimum=0, maximum=100, advanced="Scores on criteria"
    )
    score_by_rater: bool = option(
        False, help="standardise scores by each rater's own mean and spread", advanced="Scores on criteria"
    )
    score_intercepts: bool = option(False, help="learn how strict each rater is", advanced="Scores on criteria")
    criteria: str = option(
        "",
        help="weights of the criteria in the total, such as fluency=2,adequacy=1 (default: the study's)",
        advanced="Scores on criteria",
    )
    centring: float = option(
        0.0, help="weight of the mean squared reward in the loss", minimum=0, maximum=10, advanced="Reward and model"
    )
    debias: float = option(
        0.0,
        help="weight of the penalty on rewards that follow length",
        minimum=0,
        maximum=10,
        advanced="Reward and model",
    )
    ensemble_of: str = option(
        "copies",
        help="members of an ensemble: whole copies, or heads on one backbone",
        choices=("copies", "heads"),
        advanced="Reward and model",
    )
    layers: int = option(
        0, help="how many of the base model's layers to keep; 0 keeps all", minimum=0, advanced="Reward and model"
    )
    min_steps: int = option(
        150, help="at least this many steps, in more epochs if need be", minimum=1, advanced="Optimisation"
    )
    tokens_per_step: int = option(
        4096, help="tokens in one batch", minimum=64, maximum=10_000_000, advanced="Optimisation"
    )
    accumulate: int = option(1, help="batches whose gradients make one step", minimum=1, advanced="Optimisation")
    weight_decay: float = option(0.01, help="weight decay", minimum=0, maximum=1, advanced="Optimisation")
    average: float = option(
        0.97,
        help="decay of a running mean of the weights, which is kept; 0 for none",
        minimum=0,
        maximum=0.9999,
        advanced="Optimisation",
    )
    patience: int = option(
        4,
        help="stop after this many looks without a better validation loss; 0 for never",
        minimum=0,
        advanced="Optimisation",
    )
    precision: str = option(
        "auto",
        help="numbers of the training passes; auto takes bfloat16 where the processor has it",
        choices=("auto", "float32", "bfloat16"),
        advanced="Speed and memory",
    )
    share_prompts: bool = option(
        True,
        help="causal models read a prompt once for all its responses, where that gives the same",
        advanced="Speed and memory",
    )
    lora_rank: int = option(
        0,
        help="train low-rank adapters of this rank instead of all weights; 0 for none",
        minimum=0,
        advanced="Speed and memory",
    )
    load_in_4bit: bool = option(
        False,
        help="keep the base model in 4 bits under its adapters (QLoRA); needs the package bitsandbytes",
        advanced="Speed and memory",
    )
    engine: str = option(
        "palate",
        help="whose training loop: palate's own, or trainer, which shards a model over processes of accelerate launch",
        choices=("palate", "trainer"),
        advanced="Speed and memory",
    )
    checkpointing: bool = option(
        False, help="keep fewer activations in memory and compute them twice", advanced="Speed and memory"
    )
    track: str = TRACK
    learning_curve: int = option(
        0,
        help="points of a learning curve in the report, each trained on half of the judgements of the next; 0 for none",
        minimum=0,
        maximum=12,
        advanced="Report",
    )
    explain: int = option(
        8,
        help="held-out prompts whose rewards the report explains word by word",
        minimum=0,
        maximum=200,
        advanced="Report",
    )


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    snapshots.check_trainable(study)
    model_versions.check_output(options.output)
    _criterion_weights(study, options.criteria)
    tracking.check(options.track)
    _check_memory_options(options)
    if options.position and not Judgement.objects.counted().of_study(study).with_known_order().exists():
        said = gettext(
            "--position: the study has no comparison whose order shown is known; imports of chosen and rejected "
            "responses do not tell it"
        )
        raise PalateError(said)
    if options.base_model:
        if options.kind in ("cnn", "rnn"):
            said = gettext("--base-model: a model of kind %(kind)s starts from nothing; leave it out")
            raise PalateError(said % {"kind": options.kind})
        model_versions.locate(study, options.base_model, flag="--base-model")
    elif options.kind not in FROM_NOTHING:
        said = gettext("--base-model is needed for --kind %(kind)s; linear, cnn and rnn need none")
        raise PalateError(said % {"kind": options.kind})


def _check_memory_options(options: Options) -> None:
    if options.engine == "trainer" and options.kind in FROM_NOTHING:
        said = gettext("--engine trainer trains encoders and causal models; leave it out for --kind %(kind)s")
        raise PalateError(said % {"kind": options.kind})
    if not options.load_in_4bit:
        return
    if not options.lora_rank:
        said = gettext(
            "--load-in-4bit: a base of 4 bits learns nothing itself; add adapters by --lora-rank, such as 16"
        )
        raise PalateError(said)
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
        with tracking.tracked(reporter, options.track, run, name=output.name) as listening:
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
    reporter.log(cards.told(metrics["evaluation"]))
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
        smoothing=options.smoothing,
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
            said = gettext("--criteria %(part)s: no such criterion; the study has %(known)s")
            raise PalateError(said % {"part": part.strip(), "known": ", ".join(known) or "–"})
        try:
            weights[key] = float(value)
        except ValueError:
            said = gettext("--criteria %(part)s: expected %(key)s=NUMBER")
            raise PalateError(said % {"part": part.strip(), "key": key}) from None
        if not 0 <= weights[key] < float("inf"):
            raise PalateError(gettext("--criteria %(part)s: a weight is 0 or more") % {"part": part.strip()})
    return dict.fromkeys(known, 0.0) | weights


JOB = Job(
    Options,
    check,
    perform,
    "Train a preference model on a study's judgements and evaluate it on held-out prompts.",
    assist,
)
