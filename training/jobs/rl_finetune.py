"""Tune a policy against a preference model under a KL penalty."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from annotate.errors import PalateError
from annotate.prompts.models import Split
from annotate.studies.models import Study
from training import cards, model_versions
from training.engine.progress import Reporter
from training.jobs.job import Job, needed, study_of
from training.jobs.options import option
from training.models import ModelKind, Run
from training.reporting import run_folder


@dataclasses.dataclass(frozen=True)
class Options:
    policy: str = option(help="the policy to tune: a model version, a folder or a hub name", of_model="policy")
    reward: str = option(help="the preference model: a model version or a folder", of_model="preference")
    steps: int = option(60, help="optimiser steps", minimum=1)
    output: str = option("", help="folder to save the tuned policy in (default: one under var/models)")
    name: str = option("", help="name of the model version")
    prompts_per_step: int = option(16, help="prompts in one step", minimum=1)
    samples_per_prompt: int = option(4, help="samples of each prompt; their mean is the baseline", minimum=2)
    max_new_tokens: int = option(64, help="longest response, in tokens", minimum=1, maximum=4096)
    temperature: float = option(1.0, help="sampling temperature", minimum=0.01, maximum=10)
    learning_rate: float = option(0.0, help="0 takes a value by the model's size", minimum=0, maximum=1)
    beta: float = option(0.05, help="weight of the KL penalty", minimum=0)
    kl_target: float = option(0.0, help="adapt beta towards this KL a response; 0 keeps beta fixed", minimum=0)
    seed: int = option(0, help="seed of the prompts and samples")


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    model_versions.locate(study, options.reward, flag="--reward", kind=ModelKind.PREFERENCE)
    model_versions.check_output(options.output)
    for split in (Split.TRAIN, Split.VALIDATION):
        if not study.prompts.filter(split=split).exists():
            raise PalateError(f"study {study.slug} has no prompts in its {split} split; import more prompts")


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    from training.engine.policy import PolicyConfig, rl_finetune

    study = study_of(run)
    policy = model_versions.locate(study, options.policy, flag="--policy", kind=ModelKind.POLICY)
    reward = model_versions.locate(study, options.reward, flag="--reward", kind=ModelKind.PREFERENCE)
    names = {field.name for field in dataclasses.fields(PolicyConfig)}
    config = PolicyConfig(**{k: v for k, v in dataclasses.asdict(options).items() if k in names})
    output = model_versions.output_folder(run, options.output)
    checkpoint = run_folder(run) / "checkpoint.pt"
    with model_versions.saved_whole(output) as folder:
        metrics = rl_finetune(
            policy=policy,
            reward=reward,
            prompts=_texts(study, Split.TRAIN),
            held_out_prompts=_texts(study, Split.VALIDATION),
            output=folder,
            config=config,
            reporter=reporter,
            checkpoint=checkpoint,
        )
        card = cards.policy_card(options.name or output.name, study, policy, reward, metrics)
        (folder / "README.md").write_text(card, encoding="utf-8")
    checkpoint.unlink(missing_ok=True)
    version = model_versions.register(
        study=study,
        kind=ModelKind.POLICY,
        path=str(output),
        name=options.name,
        run=run,
        parent=model_versions.register(study=study, kind=ModelKind.POLICY, path=policy),
        reward=model_versions.register(study=study, kind=ModelKind.PREFERENCE, path=reward),
        metrics=metrics,
        card=card,
    )
    return {"model": str(output), "model_version": version.pk, **metrics}


def _texts(study: Study, split: str) -> list[str]:
    return list(study.prompts.filter(split=split).order_by("id").values_list("text", flat=True))


JOB = Job(Options, check, perform, "Tune a policy against a preference model under KL control.")
