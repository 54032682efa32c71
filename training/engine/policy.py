"""Policy optimisation: REINFORCE leave-one-out with a KL penalty against the frozen start of the policy.

Maximises E[r(x, y)] - β KL(π ‖ π_ref) (Ziegler et al. 2019, eq. 2) by REINFORCE with the leave-one-out
baseline (Ahmadian et al. 2024). Samples are used once, straight after they were drawn, so their probabilities
under the sampling policy are those of the training pass and no importance ratio is needed.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.engine.formatting import policy_prompt_ids
from training.engine.losses import kl_k1, rloo_advantages
from training.engine.progress import Reporter, SilentReporter, advance
from training.engine.reward import PreferenceModel
from training.engine.sampling import Policy, completion, generate, left_padded, load_policy, sample


@dataclass(frozen=True)
class PolicyConfig:
    """learning_rate 0 takes 1e-5 for 135 million parameters, growing with the root of a smaller model's size.

    beta is the first KL coefficient; with kl_target > 0 it adapts (Ziegler et al. 2019, eq. 7). An unfinished
    response gets `unfinished_penalty` off its reward: it was cut, not ended.
    """

    steps: int = 60
    prompts_per_step: int = 16
    samples_per_prompt: int = 4
    max_new_tokens: int = 64
    temperature: float = 1.0
    learning_rate: float = 0.0
    beta: float = 0.05
    kl_target: float = 0.0
    unfinished_penalty: float = 1.0
    checkpoint_every: int = 20
    seed: int = 0


@dataclass
class Rollout:
    """B prompts times K samples, right after sampling. P prompt tokens (left padded), T new tokens."""

    ids: Tensor  # (B*K, P+T)
    attention: Tensor  # (B*K, P+T)
    response_mask: Tensor  # (B*K, T): True for the response's tokens, its end token included
    texts: list[str]
    finished: Tensor  # (B*K,)


@dataclass
class _State:
    """All that a resumed run needs to go on exactly where it stopped."""

    step: int = 0
    beta: float = 0.0
    before: dict[str, float] = field(default_factory=dict)


def rl_finetune(
    *,
    policy: str,
    reward: str,
    prompts: Sequence[str],
    held_out_prompts: Sequence[str],
    output: Path,
    config: PolicyConfig,
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Tune the policy at `policy` against the preference model at `reward` and save it to `output`.

    Returns {"before", "after", "steps", "beta"}; before and after hold reward, quality, kl, length and
    entropy on the held-out prompts. A checkpoint file, if it exists, is where the run goes on.
    """
    reporter = reporter or SilentReporter()
    if not prompts or not held_out_prompts:
        raise ValueError("rl_finetune needs prompts to train on and held-out prompts to measure on")
    torch.manual_seed(config.seed)
    actor = load_policy(policy)
    tuner = _Tuner(actor, PreferenceModel.load(reward), config, reporter)
    state = tuner.resume(checkpoint) if checkpoint and checkpoint.exists() else _State(beta=config.beta)
    if state.step == 0:
        tuner.check_reference(prompts[0])
        state.before = tuner.measure(held_out_prompts)
        reporter.log(f"before: {_told(state.before)}")
    while state.step < config.steps:
        tuner.step(state, prompts)
        if checkpoint and state.step % config.checkpoint_every == 0:
            tuner.keep(state, checkpoint)
        advance(reporter, state.step, config.steps)
    after = tuner.measure(held_out_prompts)
    reporter.log(f"after: {_told(after)}")
    actor.model.save_pretrained(output)
    actor.tokenizer.save_pretrained(output)
    return {"before": state.before, "after": after, "steps": state.step, "beta": state.beta}


class _Tuner:
    def __init__(self, actor: Policy, reward: PreferenceModel, config: PolicyConfig, reporter: Reporter) -> None:
        self.actor, self.reward, self.config, self.reporter = actor, reward, config, reporter
        # A copy of the very weights in memory: a reference loaded again from a path could be another model.
        self.reference = copy.deepcopy(actor.model).requires_grad_(False)
        parameters = sum(p.numel() for p in actor.model.parameters())
        rate = config.learning_rate or 1e-5 * math.sqrt(135e6 / parameters)
        self.optimizer = torch.optim.AdamW(actor.model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.0)

    def step(self, state: _State, prompts: Sequence[str]) -> None:
        """Sample, score, and take one gradient step."""
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + state.step)
        chosen = [prompts[i] for i in torch.randint(len(prompts), (config.prompts_per_step,)).tolist()]
        rollout = self._roll_out(chosen)
        repeated = [prompt for prompt in chosen for _ in range(config.samples_per_prompt)]
        rewards = self._rewards(repeated, rollout)  # (B*K,)

        log_policy, entropy = self._log_probs(self.actor.model, rollout)  # (B*K, T) each
        with torch.no_grad():
            log_reference, _ = self._log_probs(self.reference, rollout)
        mask = rollout.response_mask.float()
        kl = (kl_k1(log_policy.detach(), log_reference) * mask).sum(dim=1)  # (B*K,): of whole responses

        penalised = (rewards - state.beta * kl).view(config.prompts_per_step, config.samples_per_prompt)
        advantages = rloo_advantages(penalised).flatten()  # (B*K,)
        loss = -(advantages * (log_policy * mask).sum(dim=1)).mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.actor.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

        state.step += 1
        values = {
            "reward": rewards.mean().item(),
            "kl": kl.mean().item(),
            "length": mask.sum(dim=1).mean().item(),
            "entropy": ((entropy * mask).sum() / mask.sum()).item(),
            "beta": state.beta,
            "grad_norm": float(norm),
        }
        self.reporter.metric(state.step, **values)
        self.reporter.sample(state.step, chosen[0], rollout.texts[0], rewards[0].item())
        state.beta = self._adapted(state.beta, values["kl"])

    def measure(self, prompts: Sequence[str]) -> dict[str, float]:
        """Means over one sample for each of the prompts, with a seed that is the same before and after."""
        config = self.config
        samples = generate(
            self.actor,
            prompts,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            seed=config.seed,
        )
        texts = [of_prompt[0].text for of_prompt in samples]
        rewards = self.reward.score(list(zip(prompts, texts, strict=True)))
        kls, lengths, entropies = [], [], []
        for start in range(0, len(prompts), 32):
            tokens = [of_prompt[0].token_ids for of_prompt in samples[start : start + 32]]
            rollout = self._joined(prompts[start : start + 32], tokens)
            with torch.no_grad():
                log_policy, entropy = self._log_probs(self.actor.model, rollout)
                log_reference, _ = self._log_probs(self.reference, rollout)
            mask = rollout.response_mask.float()
            kls += (kl_k1(log_policy, log_reference) * mask).sum(dim=1).tolist()
            lengths += mask.sum(dim=1).tolist()
            entropies += ((entropy * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).tolist()
        quality = self.reward.quality(rewards)
        columns = {"reward": rewards, "quality": quality, "kl": kls, "length": lengths, "entropy": entropies}
        return {name: sum(column) / len(column) for name, column in columns.items()}

    def check_reference(self, prompt: str) -> None:
        """The reference must be the policy itself before the first step, or every KL would be wrong."""
        rollout = self._roll_out([prompt])
        with torch.no_grad():
            log_policy, _ = self._log_probs(self.actor.model, rollout)
            log_reference, _ = self._log_probs(self.reference, rollout)
        gap = (log_policy - log_reference).abs().max().item()
        if gap > 1e-5:
            raise RuntimeError(f"the reference differs from the policy before the first step, by {gap:.2g}")

    def keep(self, state: _State, checkpoint: Path) -> None:
        """Write the checkpoint aside and move it into place, so that a crash leaves the old or the new one."""
        aside = checkpoint.with_suffix(".partial")
        weights = self.actor.model.state_dict()
        torch.save({"model": weights, "optimizer": self.optimizer.state_dict(), "state": vars(state)}, aside)
        aside.replace(checkpoint)

    def resume(self, checkpoint: Path) -> _State:
        kept = torch.load(checkpoint, weights_only=True)
        self.actor.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.reporter.log(f"going on from step {kept['state']['step']}")
        return _State(**kept["state"])

    def _roll_out(self, prompts: Sequence[str]) -> Rollout:
        config = self.config
        room = self.actor.context - config.max_new_tokens
        inputs = [policy_prompt_ids(self.actor.tokenizer, prompt, room) for prompt in prompts]
        rows = sample(
            self.actor,
            inputs,
            per_prompt=config.samples_per_prompt,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=1.0,
        )
        tokens = [completion(self.actor, row).token_ids for row in rows]
        repeated = [prompt for prompt in prompts for _ in range(config.samples_per_prompt)]
        return self._joined(repeated, tokens)

    def _joined(self, prompts: Sequence[str], tokens: Sequence[Sequence[int]]) -> Rollout:
        """Prompts (left padded) and responses (right padded) as one batch for a training pass."""
        tokenizer = self.actor.tokenizer
        room = self.actor.context - self.config.max_new_tokens
        ids, mask = left_padded([policy_prompt_ids(tokenizer, p, room) for p in prompts], tokenizer.pad_token_id)
        width = max(1, *map(len, tokens))
        new = torch.tensor([list(row) + [tokenizer.pad_token_id] * (width - len(row)) for row in tokens])
        response_mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in tokens])
        ends = self.actor.end_ids
        return Rollout(
            ids=torch.cat([ids, new], dim=1),
            attention=torch.cat([mask, response_mask.long()], dim=1),
            response_mask=response_mask,
            texts=[tokenizer.decode(row, skip_special_tokens=True).strip() for row in tokens],
            finished=torch.tensor([bool(row) and row[-1] in ends for row in tokens]),
        )

    def _rewards(self, prompts: Sequence[str], rollout: Rollout) -> Tensor:
        rewards = torch.tensor(self.reward.score(list(zip(prompts, rollout.texts, strict=True))))
        return rewards - self.config.unfinished_penalty * (~rollout.finished).float()

    def _log_probs(self, model: Any, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of each response token, (B*K, T) each, at the sampling temperature."""
        width = rollout.response_mask.shape[1]
        positions = (rollout.attention.cumsum(dim=1) - 1).clamp(min=0)
        out = model(
            input_ids=rollout.ids,
            attention_mask=rollout.attention,
            position_ids=positions,
            logits_to_keep=width + 1,
        )
        # The logits at a position speak of the next token, hence the shift by one.
        log_probs = torch.log_softmax(out.logits[:, -width - 1 : -1].float() / self.config.temperature, dim=-1)
        chosen = log_probs.gather(2, rollout.ids[:, -width:].unsqueeze(2)).squeeze(2)
        entropy = -(log_probs.detach().exp() * log_probs.detach()).sum(dim=-1)
        return chosen, entropy

    def _adapted(self, beta: float, kl: float) -> float:
        """β after a step: up to 2 % towards the KL target (Ziegler et al. 2019, eq. 7, K_β = 0.1)."""
        if not self.config.kl_target:
            return beta
        error = max(-0.2, min(0.2, kl / self.config.kl_target - 1))
        return beta * (1 + 0.1 * error)


def _told(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())
