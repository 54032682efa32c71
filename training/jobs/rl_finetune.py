"""Tune a policy by reward under a KL penalty, or straight from the study's judgements."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext

from annotate.exchange.exporters.records import engine_prompt, records_of
from annotate.models.prompts import Split
from annotate.models.studies import Study
from core.errors import PalateError
from training.engine.rl.engines import ENGINES, refusals
from training.engine.runtime.progress import Reporter, SilentReporter
from training.jobs.corpora import DEMO, STUDY, Corpus, check_corpus
from training.models import ModelKind, Run, Snapshot
from training.registry import card_files, cards, model_versions, snapshots
from training.runs import tracking
from training.runs.job import Job, needed, study_of
from training.runs.options import TRACK, option
from training.runs.reporting import run_folder

if TYPE_CHECKING:
    from training.engine.rl import Material, PolicyConfig, RewardConfig

# The engine's lists, repeated here because importing it imports torch; a test holds them together.
ON_POLICY = ("rloo", "grpo", "ppo", "reinforce", "expert-iteration", "pathwise")
DIRECT = ("dpo", "kto")
KL_IN_REWARD = ("rloo", "ppo", "reinforce", "expert-iteration")
TERMS = ("fluency", "length", "chrf", "bleu", "exact_match", "f1", "accuracy", "discriminator")
REAL = 20_000  # responses that a discriminator learns from, at most
NEEDS_REFERENCES = {"chrf", "bleu", "exact_match", "f1", "accuracy"}


@dataclasses.dataclass(frozen=True)
class Options:
    policy: str = option(help="the policy to tune", of_model="policy")
    reward: str = option("", help="the preference model; dpo and kto need none", of_model="preference")
    algorithm: str = option(
        "rloo", help="dpo and kto learn from the study's judgements, the others from samples and their reward",
        choices=(*ON_POLICY, *DIRECT),
    )  # fmt: skip
    engine: str = option(
        "palate", help="who makes the steps; trl: TRL's own trainers, for rloo and grpo (requirements-trl.txt)",
        choices=ENGINES, advanced="Update",
    )  # fmt: skip
    steps: int = option(60, help="optimiser steps", minimum=1)
    output: str = option("", help="folder to save the tuned policy in (default: one under var/models)")
    name: str = option("", help="name of the model version")
    guard: str = option(
        "", help="a preference model that is not tuned on; the run stops and keeps the best step when it falls",
        of_model="preference",
    )  # fmt: skip
    more_rewards: str = option(
        "", help="further preference models", of_model="preference", several=True, advanced="Rewards"
    )
    ensemble: str = option(
        "mean", help="how several preference models, or the members of one, become one reward; uncertainty: "
        "mean - caution · spread", choices=("mean", "worst", "uncertainty"), advanced="Rewards",
    )  # fmt: skip
    caution: float = option(1.0, help="weight of the spread for ensemble uncertainty", minimum=0, advanced="Rewards")
    terms: str = option("", help=f"further rewards with weights, such as fluency=0.1,length=-0.01: {', '.join(TERMS)}")
    reward_function: str = option(
        "",
        help="dotted path of a function (prompts, responses) -> rewards that is added",
        commands_only=True,
        advanced="Rewards",
    )
    real: str = option(
        STUDY, help="what the term discriminator takes for real: 'study' (the study's responses to training prompts), "
        "or 'demo'", for_commands="or files, as for pretrain", on_pages=(STUDY, DEMO), advanced="Rewards",
    )  # fmt: skip
    prompts_per_step: int = option(16, help="prompts in one step", minimum=1)
    samples_per_prompt: int = option(4, help="samples of each prompt; rloo and grpo compare them", minimum=1)
    max_new_tokens: int = option(64, help="longest response, in tokens", minimum=1, maximum=4096)
    max_length: int = option(
        1024, help="tokens of a prompt with a judged response that dpo and kto read at most", minimum=2,
        maximum=1_000_000,
    )  # fmt: skip
    temperature: float = option(
        1.0, help="sampling temperature; 0 is greedy decoding, which only dpo and kto can take", minimum=0, maximum=10
    )
    top_k: int = option(0, help="sample among the likeliest tokens only; 0 takes all", minimum=0, advanced="Sampling")
    top_p: float = option(
        1.0, help="sample among the likeliest tokens up to this mass", minimum=0.01, maximum=1, advanced="Sampling"
    )
    learning_rate: float = option(0.0, help="0 takes a value by the model's size", minimum=0, maximum=1)
    critic_learning_rate: float = option(
        0.001, help="learning rate of ppo's critic, a value head on the policy's states", minimum=0, maximum=1,
        advanced="Update",
    )  # fmt: skip
    epochs: int = option(1, help="passes over each batch of samples", minimum=1, maximum=100, advanced="Update")
    minibatches: int = option(1, help="optimiser steps in one pass over a batch", minimum=1, advanced="Update")
    clip: float = option(
        0.2,
        help="how far a batch's probability ratio may move: ppo's ε",
        minimum=0.001,
        maximum=10,
        advanced="Update",
    )
    beta: float = option(0.05, help="weight of the KL penalty", minimum=0)
    direct_beta: float = option(
        0.1, help="β of dpo and kto: the larger, the closer to the start", minimum=0.0001, advanced="KL"
    )
    kl_target: float = option(0.0, help="adapt beta towards this KL a response; 0 keeps beta fixed", minimum=0)
    kl_budget: float = option(0.0, help="the saved policy's KL is never above this; 0 sets no limit", minimum=0)
    distinct_floor: float = option(
        0.0, help="the saved policy's distinct-2 is never below this share of the start's; the run stops where it "
        "falls below; 0 sets no limit", minimum=0, maximum=1,
    )  # fmt: skip
    until_quality: float = option(
        0.0, help="stop once the held-out prompts' responses have this mean quality; 0 takes all steps", minimum=0,
        maximum=0.999,
    )  # fmt: skip
    kl_estimator: str = option(
        "auto", help="estimator in the penalty", choices=("auto", "k1", "k2", "k3"), advanced="KL"
    )
    whiten_rewards: bool = option(False, help="bring each batch of rewards to mean 0, variance 1", advanced="Rewards")
    reward_clip: float = option(
        0.0,
        help="hold rewards within this many spreads of the start's mean; 0 leaves them",
        minimum=0,
        advanced="Rewards",
    )
    unfinished_penalty: float = option(
        1.0, help="taken off the reward of a response that was cut", minimum=0, advanced="Rewards"
    )
    lora_rank: int = option(0, help="train a LoRA adapter of this rank; 0 trains all weights", minimum=0, maximum=1024)
    precision: str = option(
        "auto", help="of the gradient passes; auto takes bfloat16 where the processor and the model gain by it",
        choices=("auto", "float32", "bfloat16"), advanced="Update",
    )  # fmt: skip
    sampler: str = option(
        "transformers", help="who samples: this process, or a vLLM server (docs/guides/tune.md)",
        choices=("transformers", "vllm"), commands_only=True, advanced="Sampling",
    )  # fmt: skip
    sampler_address: str = option(
        "http://127.0.0.1:8000", help="where the vLLM server listens", commands_only=True, advanced="Sampling"
    )
    look_every: int = option(10, help="steps between two looks at the held-out prompts", minimum=1, advanced="Looks")
    best_of: int = option(
        8,
        help="n of best-of-n, the baseline; 1 leaves it out",
        minimum=1,
        maximum=256,
        advanced="Looks",
    )
    checkpoint_every: int = option(20, help="steps between two checkpoints", minimum=1, advanced="Looks")
    track: str = TRACK
    seed: int = option(0, help="seed of the prompts and samples")


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    _preference_paths(study, options)
    _guard_path(study, options)
    model_versions.check_output(options.output)
    tracking.check(options.track)
    _check_splits(study)
    if options.algorithm in DIRECT:
        snapshots.check_trainable(study)
    elif not (options.reward or options.more_rewards or options.terms or options.reward_function):
        said = gettext("--reward is needed: %(algorithm)s learns from a preference model or other rewards")
        raise PalateError(said % {"algorithm": options.algorithm})
    if options.algorithm in ("rloo", "grpo", "expert-iteration") and options.samples_per_prompt < 2:
        said = gettext(
            "--samples-per-prompt must be at least 2 for %(algorithm)s, which compares a prompt's samples, not "
            "%(given)d; reinforce and ppo work with one"
        )
        raise PalateError(said % {"algorithm": options.algorithm, "given": options.samples_per_prompt})
    if options.algorithm == "grpo" and options.kl_estimator == "k1":
        raise PalateError(gettext("--kl-estimator k1 has no gradient in grpo's loss; expected k2 or k3"))
    if options.algorithm in KL_IN_REWARD and options.kl_estimator in ("k2", "k3"):
        said = gettext(
            "--kl-estimator %(estimator)s in the reward of %(algorithm)s pushes away from the start; expected k1"
        )
        raise PalateError(said % {"estimator": options.kl_estimator, "algorithm": options.algorithm})
    named = {name for name, _ in terms_of(options.terms)}
    if "discriminator" in named:
        check_corpus(study, options.real, flag="--real")
    if options.algorithm == "pathwise" and (named or options.more_rewards or options.reward_function):
        raise PalateError(
            gettext("--algorithm pathwise follows the gradient of one --reward; it takes no further rewards")
        )
    if options.until_quality and (not options.reward or options.more_rewards):
        raise PalateError(
            gettext("--until-quality is told by one preference model: give --reward and no --more-rewards")
        )
    if not options.sampler_address.startswith(("http://", "https://")):
        raise PalateError(
            f"--sampler-address must be an address such as http://host:8000, not {options.sampler_address!r}"
        )
    if options.sampler == "vllm" and not options.lora_rank:
        raise PalateError("--lora-rank must be at least 1 with --sampler vllm, which is given an adapter each step")
    if options.algorithm in ON_POLICY and not options.temperature:
        said = gettext(
            "--temperature must be above 0 for %(algorithm)s, which learns from samples that differ; dpo and kto take 0"
        )
        raise PalateError(said % {"algorithm": options.algorithm})
    if options.whiten_rewards and options.prompts_per_step * options.samples_per_prompt < 2:
        raise PalateError(gettext("--whiten-rewards needs at least 2 samples a step: a single reward has no variance"))
    if options.minibatches > options.prompts_per_step:
        said = gettext("--minibatches must be at most --prompts-per-step (%(most)d), not %(given)d")
        raise PalateError(said % {"most": options.prompts_per_step, "given": options.minibatches})
    for name, wrong in refusals(options):
        raise PalateError(f"--{name.replace('_', '-')} {wrong}")
    if options.engine == "trl" and "discriminator" in named:
        raise PalateError(
            gettext("--terms discriminator learns beside the policy, which --engine trl does not wait for")
        )
    _check_references(study, named)


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    policy = model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    snapshot = snapshots.of_run(run, study) if options.algorithm in DIRECT else None
    output = model_versions.output_folder(run, options.output)
    checkpoint = run_folder(run) / "checkpoint.pt"
    with model_versions.saved_whole(output) as folder:
        material = _material(study, options, snapshot, run.created_at)
        with tracking.tracked(reporter, options.track, run, name=output.name) as listening:
            metrics = _tune(study, options, material, folder, listening, checkpoint)
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
    _tune(study, options, _material(study, options, snapshot, asked_at), Path(), SilentReporter(), None)


def _tune(
    study: Study, options: Options, material: "Material", folder: Path, reporter: Reporter, checkpoint: Path | None
) -> dict[str, Any]:
    import training.engine.experimental  # noqa: F401  # registers pathwise and the discriminator
    from training.engine.rl import rl_finetune

    try:
        return rl_finetune(
            policy=model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY),
            reward=_reward(study, options),
            material=material,
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
            said = gettext("--terms %(part)s: expected NAME=WEIGHT with a name among %(names)s")
            raise PalateError(said % {"part": part, "names": ", ".join(TERMS)})
        try:
            value = float(weight or 1)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            said = gettext("--terms %(part)s: the weight must be a finite number, not %(weight)s")
            raise PalateError(said % {"part": part, "weight": repr(weight)})
        terms[name.strip()] = value
    return list(terms.items())


def _card(name: str, study: Study, policy: str, options: Options, metrics: Mapping[str, Any]) -> str:
    reward = cards.rewards_shown(_preference_paths(study, options), options.terms, options.reward_function)
    return cards.policy_card(name, study, policy, reward or "the study's judgements", metrics)


def _config(options: Options) -> "PolicyConfig":
    from training.engine.rl import PolicyConfig

    names = {field.name for field in dataclasses.fields(PolicyConfig)}
    return PolicyConfig(**{k: v for k, v in dataclasses.asdict(options).items() if k in names})


def _reward(study: Study, options: Options) -> "RewardConfig":
    from training.engine.rl import RewardConfig

    return RewardConfig(
        preference=tuple(_preference_paths(study, options)),
        ensemble=options.ensemble,
        caution=options.caution,
        terms=tuple(terms_of(options.terms)),
        function=options.reward_function,
    )


def _material(study: Study, options: Options, snapshot: Snapshot | None, asked_at: datetime) -> "Material":
    """The prompts that the study had when the run was asked for: later ones would not fit the checkpoint of an attempt
    that was interrupted."""
    from training.engine.rl import Material

    prompts = {split: _texts(study, split, asked_at) for split in (Split.TRAIN, Split.VALIDATION)}
    records = {
        split: list(records_of(snapshots.judgements_of(snapshot, split))) if snapshot else [] for split in prompts
    }
    return Material(
        prompts=[text for text, _ in prompts[Split.TRAIN]],
        held_out_prompts=[text for text, _ in prompts[Split.VALIDATION]],
        references={text: reference for rows in prompts.values() for text, reference in rows if reference},
        train=records[Split.TRAIN],
        validation=records[Split.VALIDATION],
        real=_real(study, options) if "discriminator" in dict(terms_of(options.terms)) else [],
    )


def _real(study: Study, options: Options) -> list[tuple[str, str]]:
    documents = itertools.islice(Corpus(study, options.real, REAL, options.seed, flag="--real"), REAL)
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
        said = gettext("--guard %(guard)s: the policy is tuned on this very model, so it can guard nothing")
        raise PalateError(said % {"guard": options.guard})
    return path


def _check_splits(study: Study) -> None:
    for split in (Split.TRAIN, Split.VALIDATION):
        if not study.prompts.filter(split=split).exists():
            said = gettext("study %(study)s has no prompts in its %(split)s split; import more prompts")
            raise PalateError(said % {"study": study.slug, "split": split.label})


def _check_references(study: Study, names: set[str]) -> None:
    wanted = sorted(names & NEEDS_REFERENCES)
    bare = study.prompts.filter(split__in=(Split.TRAIN, Split.VALIDATION), reference="").first()
    if wanted and bare:
        said = gettext(
            "--terms %(term)s compares with a prompt's reference, but prompt '%(prompt)s' has none; import the prompts "
            "with the field reference"
        )
        raise PalateError(said % {"term": wanted[0], "prompt": bare.external_id})


JOB = Job(Options, check, perform, "Tune a policy by reward under KL control, or straight from judgements.", assist)
