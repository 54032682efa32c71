"""Tune a policy by reward under a KL penalty, or straight from the study's judgements."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from annotate.exchange.exporters.records import engine_prompt, records_of
from annotate.models.prompts import Split
from annotate.models.studies import Study
from core.errors import PalateError
from training.engine.rl.engines import unsupported
from training.engine.runtime.progress import Reporter, SilentReporter
from training.jobs.corpora import Corpus, check_corpus
from training.jobs.rl_finetune_options import DIRECT, KL_IN_REWARD, NEEDS_REFERENCES, ON_POLICY, REAL, TERMS, Options
from training.models import ModelKind, Run, Snapshot
from training.registry import card_files, cards, model_versions, snapshots
from training.runs import tracking
from training.runs.job import Job, needed, study_of
from training.runs.reporting import run_folder

if TYPE_CHECKING:
    from training.engine.rl.config import PolicyConfig
    from training.engine.rl.finetune import TuningData
    from training.engine.rl.rewards import RewardConfig


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    _preference_paths(study, options)
    _guard_path(study, options)
    model_versions.check_output(options.output)
    tracking.check(options.report_to)
    _check_splits(study)
    if options.algorithm in DIRECT:
        snapshots.check_trainable(study)
    elif not (options.reward or options.more_rewards or options.terms or options.reward_function):
        message = gettext("--reward is needed: %(algorithm)s learns from a preference model or other rewards")
        raise PalateError(message % {"algorithm": options.algorithm})
    if options.algorithm in ("rloo", "grpo", "expert-iteration") and options.num_generations < 2:
        message = gettext(
            "--num-generations must be at least 2 for %(algorithm)s, which compares a prompt's samples, not "
            "%(given)d; reinforce and ppo work with one"
        )
        raise PalateError(message % {"algorithm": options.algorithm, "given": options.num_generations})
    if options.algorithm == "grpo" and options.kl_estimator == "k1":
        raise PalateError(gettext("--kl-estimator k1 has no gradient in grpo's loss; expected k2 or k3"))
    if options.algorithm in KL_IN_REWARD and options.kl_estimator in ("k2", "k3"):
        message = gettext(
            "--kl-estimator %(estimator)s in the reward of %(algorithm)s pushes away from the start; expected k1"
        )
        raise PalateError(message % {"estimator": options.kl_estimator, "algorithm": options.algorithm})
    named = {name for name, _ in terms_of(options.terms)}
    if "discriminator" in named:
        check_corpus(study, options.discriminator_corpus, flag="--discriminator-corpus")
    if options.algorithm == "pathwise" and (named or options.more_rewards or options.reward_function):
        raise PalateError(
            gettext("--algorithm pathwise follows the gradient of one --reward; it takes no further rewards")
        )
    if options.target_quality and (not options.reward or options.more_rewards):
        raise PalateError(
            gettext(
                "--target-quality needs the calibration of exactly one preference model: set --reward and no "
                "--more-rewards"
            )
        )
    if not options.vllm_server_base_url.startswith(("http://", "https://")):
        raise PalateError(
            f"--vllm-server-base-url must be an address such as http://host:8000, not {options.vllm_server_base_url!r}"
        )
    if options.sampler == "vllm" and not options.lora_r:
        raise PalateError("--lora-r must be at least 1 with --sampler vllm, which is given an adapter each step")
    if options.algorithm in ON_POLICY and not options.temperature:
        message = gettext(
            "--temperature must be above 0 for %(algorithm)s, which learns from samples that differ; dpo and kto take 0"
        )
        raise PalateError(message % {"algorithm": options.algorithm})
    if options.whiten_rewards and options.prompts_per_step * options.num_generations < 2:
        raise PalateError(
            gettext("--whiten-rewards needs at least 2 samples per step: a single reward has no variance")
        )
    if options.num_mini_batches > options.prompts_per_step:
        message = gettext("--num-mini-batches must be at most --prompts-per-step (%(most)d), not %(given)d")
        raise PalateError(message % {"most": options.prompts_per_step, "given": options.num_mini_batches})
    for name, wrong in unsupported(options):
        raise PalateError(f"--{name.replace('_', '-')} {wrong}")
    if options.engine == "trl" and "discriminator" in named:
        raise PalateError(
            gettext(
                "--terms discriminator is not supported by --engine trl, because the discriminator learns during tuning"
            )
        )
    _check_references(study, named)


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    policy = model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    snapshot = snapshots.of_run(run, study) if options.algorithm in DIRECT else None
    output = model_versions.output_folder(run, options.output)
    checkpoint = run_folder(run) / "checkpoint.pt"
    with model_versions.saved_whole(output) as folder:
        data = _tuning_data(study, options, snapshot, run.created_at)
        with tracking.tracked(reporter, options.report_to, run, name=output.name) as listening:
            metrics = _tune(study, options, data, folder, listening, checkpoint)
        card = _card(options.name or output.name, study, policy, options, metrics)
        facts = cards.policy_facts(study, policy, snapshot, metrics)
        card_files.write(folder, options.name or output.name, card, facts)
    paths = _preference_paths(study, options)
    version = model_versions.register(
        study=study,
        kind=ModelKind.POLICY,
        path=str(output),
        name=options.name,
        run=run,
        parent=model_versions.register(study=study, kind=ModelKind.POLICY, path=policy),
        reward=model_versions.register(study=study, kind=ModelKind.PREFERENCE, path=paths[0]) if paths else None,
        snapshot=snapshot,
        metrics=metrics,
        card=card,
    )
    return {"model": str(output), "model_version": version.pk, **metrics}


def assist(study: Study | None, options: Options, begun: Run | None) -> None:
    """The work of a process that is not the first: the same tuning, but it saves and reports nothing."""
    study = needed(study)
    snapshot = snapshots.of_begun(begun, study) if options.algorithm in DIRECT else None
    asked_at = begun.created_at if begun else timezone.now()
    _tune(study, options, _tuning_data(study, options, snapshot, asked_at), Path(), SilentReporter(), None)


def _tune(
    study: Study, options: Options, data: "TuningData", folder: Path, reporter: Reporter, checkpoint: Path | None
) -> dict[str, Any]:
    import training.engine.experimental  # noqa: F401  # registers pathwise and the discriminator
    from training.engine.rl.finetune import rl_finetune

    try:
        return rl_finetune(
            policy=model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY),
            reward=_reward(study, options),
            data=data,
            output=folder,
            config=_config(options),
            guard=_guard_path(study, options),
            reporter=reporter,
            checkpoint=checkpoint,
        )
    except ValueError as error:  # what the engine says of what it was given, such as a reward that is not a number
        raise PalateError(str(error)) from error


def terms_of(text: str) -> list[tuple[str, float]]:
    """The terms of "fluency=0.1,length=-0.01". Raises PalateError naming the part that is none."""
    terms: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition("=")
        if name.strip() not in TERMS:
            message = gettext("--terms %(part)s: expected NAME=WEIGHT with a name among %(names)s")
            raise PalateError(message % {"part": part, "names": ", ".join(TERMS)})
        try:
            value = float(weight or 1)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            message = gettext("--terms %(part)s: the weight must be a finite number, not %(weight)s")
            raise PalateError(message % {"part": part, "weight": repr(weight)})
        terms[name.strip()] = value
    return list(terms.items())


def _card(name: str, study: Study, policy: str, options: Options, metrics: Mapping[str, Any]) -> str:
    reward = cards.rewards_shown(_preference_paths(study, options), options.terms, options.reward_function)
    return cards.policy_card(name, study, policy, reward or "the study's judgements", metrics)


def _config(options: Options) -> "PolicyConfig":
    from training.engine.rl.config import PolicyConfig

    names = {field.name for field in dataclasses.fields(PolicyConfig)}
    return PolicyConfig(**{k: v for k, v in dataclasses.asdict(options).items() if k in names})


def _reward(study: Study, options: Options) -> "RewardConfig":
    from training.engine.rl.rewards import RewardConfig

    return RewardConfig(
        preference=tuple(_preference_paths(study, options)),
        ensemble=options.ensemble,
        uncertainty_penalty=options.uncertainty_penalty,
        terms=tuple(terms_of(options.terms)),
        function=options.reward_function,
    )


def _tuning_data(study: Study, options: Options, snapshot: Snapshot | None, asked_at: datetime) -> "TuningData":
    """The prompts that the study had when the run was asked for: later ones would not fit the checkpoint of an attempt
    that was interrupted."""
    from training.engine.rl.finetune import TuningData

    prompts = {split: _texts(study, split, asked_at) for split in (Split.TRAIN, Split.VALIDATION)}
    records = {
        split: list(records_of(snapshots.judgements_of(snapshot, split))) if snapshot else [] for split in prompts
    }
    return TuningData(
        prompts=[text for text, _ in prompts[Split.TRAIN]],
        held_out_prompts=[text for text, _ in prompts[Split.VALIDATION]],
        references={text: reference for rows in prompts.values() for text, reference in rows if reference},
        train=records[Split.TRAIN],
        validation=records[Split.VALIDATION],
        real=_real(study, options) if "discriminator" in dict(terms_of(options.terms)) else [],
    )


def _real(study: Study, options: Options) -> list[tuple[str, str]]:
    documents = itertools.islice(
        Corpus(study, options.discriminator_corpus, REAL, options.seed, flag="--discriminator-corpus"), REAL
    )
    return [(document.prompt, document.text) for document in documents]


def _texts(study: Study, split: str, asked_at: datetime) -> list[tuple[str, str]]:
    prompts = study.prompts.filter(split=split, created_at__lte=asked_at)
    return [(engine_prompt(prompt), prompt.reference) for prompt in prompts.order_by("id")]


def _preference_paths(study: Study, options: Options) -> list[str]:
    named = [("--reward", options.reward), *(("--more-rewards", part) for part in options.more_rewards.split(","))]
    return [
        model_versions.locate(study, value.strip(), flag=flag, kind=ModelKind.PREFERENCE)
        for flag, value in named
        if value.strip()
    ]


def _guard_path(study: Study, options: Options) -> str:
    if not options.guard:
        return ""
    path = model_versions.locate(study, options.guard, flag="--guard", kind=ModelKind.PREFERENCE)
    if path in _preference_paths(study, options):
        message = gettext("--guard %(guard)s: the policy is tuned on this model, so it cannot serve as its guard")
        raise PalateError(message % {"guard": options.guard})
    return path


def _check_splits(study: Study) -> None:
    for split in (Split.TRAIN, Split.VALIDATION):
        if not study.prompts.filter(split=split).exists():
            message = gettext("study %(study)s has no prompts in its %(split)s split; import more prompts")
            raise PalateError(message % {"study": study.slug, "split": split.label})


def _check_references(study: Study, names: set[str]) -> None:
    comparing_terms = sorted(names & NEEDS_REFERENCES)
    bare = study.prompts.filter(split__in=(Split.TRAIN, Split.VALIDATION), reference="").first()
    if comparing_terms and bare:
        message = gettext(
            "--terms %(term)s compares with a prompt's reference, but prompt '%(prompt)s' has none; import the prompts "
            "with the field reference"
        )
        raise PalateError(message % {"term": comparing_terms[0], "prompt": bare.external_id})


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Tune a policy for reward under KL control, or directly on judgements."),
    assist,
)
