"""Training a preference model: from records to a folder with a calibrated model or ensemble."""

import dataclasses
import platform
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.records import Pair, Record
from training.engine.data.formatting import truncation
from training.engine.data.observations import Group, Item, criteria_of, groups_of, items_of
from training.engine.models import base_models
from training.engine.models.encoder import Encoder, resolve_bfloat16
from training.engine.models.reward import LENGTH, OVERALL, PreferenceModel, Settings
from training.engine.objectives.scores import ScoreOptions
from training.engine.objectives.votes import VoteModel, VoteOptions, raters_of, reweighted
from training.engine.preference.calibration import fit_temperature, shrunk
from training.engine.preference.fitting import Fit, FitOptions, State
from training.engine.preference.likelihood import Likelihood
from training.engine.preference.linear import fit_linear
from training.engine.runtime import distributed, stopping
from training.engine.runtime.progress import Reporter, SilentReporter

ENSEMBLES = ("heads", "copies")
ENGINES = ("palate", "trainer")


@dataclass(frozen=True)
class PreferenceConfig:
    """kind: base_models.KINDS. learning_rate 0 takes 1e-4 for 22 million parameters, falling with the root of the
    model's size, ten times that with adapters, and 3e-3 for a small model made from nothing. layers: how many of a
    pretrained encoder's layers to keep, 0 for all. ensemble: members, which are heads on one backbone or whole copies.
    criterion_weights: in the weighted total of a study without ranks. center_rewards_coefficient, debias: weights of
    the penalties (training.engine.preference.likelihood). engine: whose loop trains, of ENGINES; Trainer's shards
    encoders and causal models over processes (training.engine.preference.trainer). load_in_4bit: adapters on a base of
    4 bits (Dettmers et al. 2023, QLoRA), which bitsandbytes reads."""

    kind: str = "auto"
    num_epochs: int = 8
    min_steps: int = 150
    learning_rate: float = 0.0
    weight_decay: float = 0.01
    tokens_per_step: int = 4096
    gradient_accumulation_steps: int = 1
    max_length: int = 256
    layers: int = 0
    early_stopping_patience: int = 4
    ema_decay: float = 0.97
    precision: str = "auto"
    lora_r: int = 0
    gradient_checkpointing: bool = False
    share_prompts: bool = True
    engine: str = "palate"
    load_in_4bit: bool = False
    ensemble: int = 1
    ensemble_of: str = "copies"
    center_rewards_coefficient: float = 0.0
    debias: float = 0.0
    seed: int = 0
    votes: VoteOptions = field(default_factory=VoteOptions)
    scores: ScoreOptions = field(default_factory=ScoreOptions)
    criterion_weights: dict[str, float] = field(default_factory=dict)


def train_preference(
    train: Iterable[Record],
    validation: Iterable[Record],
    *,
    base_model: str,
    output: Path,
    config: PreferenceConfig,
    reporter: Reporter | None = None,
    checkpoints: Path | None = None,
) -> dict[str, Any]:
    """Train on `train`, keep the best weights by the loss on `validation`, calibrate there, save to `output`. What is
    fitted as a convex problem learns from both, and is chosen and calibrated by cross-validation (fit_linear).

    base_model may be "" for the kinds that need none. `checkpoints`, a folder, is where a run goes on that was
    interrupted. Processes of a launcher share the work; the first one saves. Returns losses, steps, calibration, counts
    and versions. Raises ValueError when the records or the options cannot work.
    """
    distributed.join()
    try:
        return _train(train, validation, base_model, output, config, reporter or SilentReporter(), checkpoints)
    finally:
        distributed.leave()


def _train(
    train: Iterable[Record],
    validation: Iterable[Record],
    base_model: str,
    output: Path,
    config: PreferenceConfig,
    reporter: Reporter,
    checkpoints: Path | None,
) -> dict[str, Any]:
    raters = config.votes.reliability
    groups, held_out = checked(train, "train", raters), checked(validation, "validation", raters)
    settings = _settings(groups, config)
    result = fit_model(groups, held_out, base_model, settings, config, reporter, checkpoints)
    model, states, likelihood = result.model, result.states, result.likelihood
    if distributed.is_main():
        unseen = [*groups, *held_out] if result.out_of_fold else held_out
        votes = likelihood.votes if OVERALL in settings.outputs else None
        calibrate(model, [pair for group in unseen for pair in group.pairs], result.out_of_fold, votes)
        model.save(output)
    read = items_of([*groups, *held_out])
    if truncation_note := truncation(len(model.encoders[0].truncated), len(read), settings.max_length, "examples"):
        reporter.log(truncation_note)
    reporter.log(f"temperature {settings.temperature:.2f}, best validation loss {states[0].best:.4f}")
    return {
        "validation_loss": float(np.mean([state.best for state in states])),
        "steps": sum(state.step for state in states),
        "stopped": [stopping.format_reason(state.stopped) for state in states if state.stopped],
        "stop_reason": [state.stopped for state in states if state.stopped],
        "train_pairs": sum(len(group.pairs) for group in groups),
        "validation_pairs": sum(len(group.pairs) for group in held_out),
        "train_responses": len(items_of(groups)),
        "truncated": len(model.encoders[0].truncated),
        "truncation": [truncation_note] if truncation_note else [],
        "shared_prompts": model.encoders[0].trees,
        "outputs": settings.outputs,
        "weights": settings.weights,
        "members": settings.heads * settings.copies,
        "temperature": settings.temperature,
        "centre": settings.centre,
        "raters": _raters(likelihood) if config.votes.reliability else None,
        "position_bias": float(likelihood.votes.position_bias.detach()) if config.votes.position else None,
        "config": dataclasses.asdict(config),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, **_versions()},
    }


@dataclass(frozen=True)
class FittedModel:
    """A model that is not yet calibrated; for each of its copies how the fit went and, where it was cross-validated,
    the outputs (M, H) of items foretold by what had not seen them; and what explains the raters of the last copy."""

    model: PreferenceModel
    states: list[State]
    out_of_fold: list[dict[Item, Tensor]]
    likelihood: Likelihood


def fit_model(
    groups: Sequence[Group],
    held_out: Sequence[Group],
    base_model: str,
    settings: Settings,
    config: PreferenceConfig,
    reporter: Reporter,
    checkpoints: Path | None = None,
) -> FittedModel:
    """A model with the outputs of `settings` that was fitted to the groups and chosen by the loss on `held_out`, or
    fitted to both and chosen by cross-validation."""
    model = PreferenceModel([], settings)
    states: list[State] = []
    out_of_fold: list[dict[Item, Tensor]] = []
    for copy in range(1, settings.copies + 1):
        seeded = dataclasses.replace(config, seed=config.seed + copy - 1)
        torch.manual_seed(seeded.seed)
        encoder = _make_encoder(base_model, groups, settings, seeded, reporter)
        if config.kind == "linear":
            likelihood = _likelihood(settings, [*groups, *held_out], seeded)
            drawn = [
                _bootstrap_sample(part, seeded.seed) if settings.copies > 1 else part for part in (groups, held_out)
            ]
            fit = fit_linear(encoder, likelihood, drawn[0], drawn[1], reporter)
            states.append(State(best=fit.loss))
            out_of_fold.append(fit.out_of_fold)
        else:
            likelihood = _likelihood(settings, groups, seeded)
            checkpoint = checkpoints / f"preference-{copy}.pt" if checkpoints else None
            state, weights = _fit_by_gradient(encoder, likelihood, groups, held_out, seeded, reporter, checkpoint)
            states.append(state)
            if weights:
                encoder = _with_weights(weights, base_model, groups, settings, seeded)
        if distributed.is_main() and hasattr(encoder.model, "merge_and_unload"):  # it has adapters
            encoder.model = encoder.model.merge_and_unload()
        model.encoders.append(encoder)
    return FittedModel(model, states, out_of_fold, likelihood)


def checked(records: Iterable[Record], split: str, raters: bool = True) -> list[Group]:
    """The split's groups; raises ValueError when nothing can be learned from it."""
    groups = groups_of(records, raters=raters)
    pairs = [pair for group in groups for pair in group.pairs]
    if not pairs:
        raise ValueError(
            f"the {split} split has judgements, but none compares two responses of a prompt; it takes rankings, "
            f"comparisons, or one rater's scores of two responses to the same prompt"
        )
    if all(vote.outcome == 0.5 for pair in pairs for vote in pair.votes):
        raise ValueError(f"all votes of the {split} split are ties: no response is better than another")
    return groups


def _bootstrap_sample(groups: Sequence[Group], seed: int) -> list[Group]:
    """As many groups, drawn with replacement (Breiman 1996): a convex fit has no other reason to differ by its seed."""
    return random.Random(seed).choices(groups, k=len(groups))


def _settings(groups: Sequence[Group], config: PreferenceConfig) -> Settings:
    """What the model puts out. With ranks the reward is an output of its own; without, the criteria's total."""
    criteria = criteria_of(groups) if config.scores.likelihood != "none" else []
    if unknown := sorted(set(config.criterion_weights) - set(criteria_of(groups))):
        raise ValueError(f"no criterion {unknown[0]!r}; the judgements have {', '.join(criteria) or 'none'}")
    if config.votes.reliability and len(raters_of(groups)) < 2:
        raise ValueError("reliability needs two raters or more; all judgements are by one")
    overall = any(group.ordered for group in groups) or not criteria
    weights = [config.criterion_weights.get(name, 1.0) for name in criteria]
    total = sum(weights) or 1.0
    outputs = ([OVERALL] if overall else []) + criteria + ([LENGTH] if config.debias else [])
    return Settings(
        max_length=config.max_length,
        outputs=outputs,
        weights=([1.0] if overall else [])
        + [0.0 if overall else weight / total for weight in weights]
        + ([0.0] if config.debias else []),
        heads=config.ensemble if config.ensemble_of == "heads" else 1,
        copies=config.ensemble if config.ensemble_of == "copies" else 1,
    )


def _make_encoder(
    base: str, groups: Sequence[Group], settings: Settings, config: PreferenceConfig, reporter: Reporter
) -> Encoder:
    outputs, items = settings.heads * len(settings.outputs), items_of(groups)
    if config.kind == "linear" and base:
        encoder = base_models.probe(base, outputs=outputs, max_length=config.max_length)
    elif config.kind in ("linear", "cnn", "rnn"):
        encoder = base_models.small(config.kind, items, outputs=outputs, max_length=config.max_length)
    else:
        encoder = base_models.pretrained(
            base,
            outputs=outputs,
            kind=config.kind,
            max_length=config.max_length,
            layers=config.layers,
            lora_r=config.lora_r,
            gradient_checkpointing=config.gradient_checkpointing,
            load_in_4bit=config.load_in_4bit,
            on_device=config.engine == "trainer",
        )
        if config.share_prompts and encoder.causal and not config.lora_r and config.engine == "palate":
            difference = encoder.enable_trees(items[:64])
            if difference is not None:
                how = "are shared" if encoder.trees else "are encoded once per response"
                reporter.log(f"prompts {how}: outputs differ by {difference:.1g} from separate rows")
    settings.max_length = encoder.max_length
    return encoder


def _with_weights(
    weights: dict[str, Tensor], base: str, groups: Sequence[Group], settings: Settings, config: PreferenceConfig
) -> Encoder:
    """The base in float32 on this device, with what was learned in shards or on a base of 4 bits."""
    plain = dataclasses.replace(config, engine="palate", load_in_4bit=False, share_prompts=False)
    encoder = _make_encoder(base, groups, settings, plain, SilentReporter())
    _, unknown = encoder.model.load_state_dict(weights, strict=False)
    assert not unknown, unknown
    return encoder


def _likelihood(settings: Settings, groups: Sequence[Group], config: PreferenceConfig) -> Likelihood:
    return Likelihood(
        settings,
        groups,
        config.votes,
        config.scores,
        center_rewards_coefficient=config.center_rewards_coefficient,
        debias=config.debias,
    )


def _fit_by_gradient(
    encoder: Encoder,
    likelihood: Likelihood,
    groups: Sequence[Group],
    held_out: Sequence[Group],
    config: PreferenceConfig,
    reporter: Reporter,
    checkpoint: Path | None,
) -> tuple[State, dict[str, Tensor] | None]:
    """How the fit went, and its weights where those of the reader's model are sharded or rest on 4 bits."""
    made_here = config.kind in ("cnn", "rnn")
    size = sum(p.numel() for p in encoder.model.parameters())
    rate = config.learning_rate or (3e-3 if made_here else pretrained_rate(size, config.lora_r))
    options = FitOptions(
        num_epochs=config.num_epochs,
        min_steps=config.min_steps,
        learning_rate=rate,
        head_learning_rate=rate if made_here else max(rate, 1e-3),
        weight_decay=config.weight_decay,
        tokens_per_step=config.tokens_per_step,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        early_stopping_patience=config.early_stopping_patience,
        ema_decay=config.ema_decay,
        bfloat16=resolve_bfloat16(config.precision) and not made_here,
        seed=config.seed,
    )
    if config.engine == "trainer":
        from training.engine.preference.trainer import ShardedFit

        sharded = ShardedFit(encoder, likelihood, options, reporter, checkpoint)
        return sharded.run(groups, held_out), sharded.whole
    fit = Fit(encoder, likelihood, options, reporter, checkpoint)
    return fit.run(groups, held_out), fit.trainable if config.load_in_4bit else None


def pretrained_rate(parameters: int, lora_r: int = 0) -> float:
    """The default learning rate of a pretrained body: 1e-4 for 22 million parameters, falling with the root of the
    size. Adapters take ten times that: their updates are products of two small matrices (Hu et al. 2021; Schulman et
    al. 2025, "LoRA Without Regret", find the ratio of 10 over model sizes)."""
    return 1e-4 * (22e6 / parameters) ** 0.5 * (10 if lora_r else 1)


def calibrate(
    model: PreferenceModel,
    pairs: Sequence[Pair],
    out_of_fold: Sequence[Mapping[Item, Tensor]] = (),
    votes: VoteModel | None = None,
) -> None:
    """Set the temperature, and the centre: the mean reward of the pairs' responses.

    out_of_fold: for each copy the outputs (M, H) of items by a model trained without them; needed where the copies were
    trained on the pairs themselves. Pairs without such outputs are left out. votes: the vote model of the training,
    which gives the weight of each rater's votes and the scale of the reward, towards which the temperature is shrunk,
    more so with fewer groups of prompts.
    """
    if votes and votes.options.reliability:
        trust = votes.trust()
        pairs = [reweighted(pair, trust) for pair in pairs]
    items = list(dict.fromkeys(item for pair in pairs for item in _sides(pair)))
    if out_of_fold:
        reward = _out_of_fold_rewards(items, out_of_fold, torch.tensor(model.settings.weights))
    else:
        reward = dict(zip(items, model.score(items), strict=True))
    pairs = [pair for pair in pairs if pair.votes_weight and all(item in reward for item in _sides(pair))]
    difference = np.array([reward[a] - reward[b] for a, b in map(_sides, pairs)])
    share = np.array([pair.share_a for pair in pairs])
    weight = np.array([pair.votes_weight for pair in pairs])
    model.settings.centre = float(np.mean(list(reward.values())))
    temperature = fit_temperature(difference, share, weight)
    if votes:
        own = fit_temperature(difference, votes.share(torch.tensor(difference)).numpy(), weight)
        temperature = shrunk(temperature, own, len({pair.group for pair in pairs}))
    model.settings.temperature = temperature


def _sides(pair: Pair) -> tuple[Item, Item]:
    return (pair.prompt, pair.a), (pair.prompt, pair.b)


def _out_of_fold_rewards(
    items: Sequence[Item], out_of_fold: Sequence[Mapping[Item, Tensor]], weights: Tensor
) -> dict[Item, float]:
    """Return the mean reward over heads and copies."""
    outputs_by_item = {item: [outputs[item] for outputs in out_of_fold if item in outputs] for item in items}
    return {item: float((torch.cat(rows) @ weights).mean()) for item, rows in outputs_by_item.items() if rows}


def _raters(likelihood: Likelihood) -> dict[str, Any]:
    """The learned reliabilities: the usual one, and those of the raters who are furthest below it."""
    learned = likelihood.votes.reliability()
    worst = sorted(learned, key=lambda rater: learned[rater])[:20]
    mean = float(torch.sigmoid(likelihood.votes.mean_reliability.detach()))
    return {
        "mean_reliability": mean,
        "raters": len(learned),
        "least_reliable": {rater: learned[rater] for rater in worst},
    }


def _versions() -> dict[str, str]:
    import transformers

    return {"transformers": transformers.__version__, "numpy": np.__version__}
