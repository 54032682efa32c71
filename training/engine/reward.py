"""The preference model: a scalar reward for (prompt, response), trained on judgements with ties."""

import copy
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from scipy.special import expit
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from training.engine.formatting import reward_inputs
from training.engine.losses import bradley_terry, centre_penalty
from training.engine.pretraining import warmup_cosine
from training.engine.progress import Reporter, SilentReporter, advance
from training.engine.records import Pair, Ranking, Record, pairs_of, rankings_of
from training.engine.votes import VoteModel, VoteOptions, raters_of, weight_of

SETTINGS = "palate"
Item = tuple[str, str]  # a prompt and a response


@dataclass(frozen=True)
class PreferenceConfig:
    """learning_rate 0 takes 1e-4 for 22 million parameters, falling with the root of the model's size; centring is the
    weight of the mean squared reward in the loss."""

    epochs: int = 8
    min_steps: int = 150
    learning_rate: float = 0.0
    weight_decay: float = 0.01
    responses_per_step: int = 32
    max_length: int = 256
    seed: int = 0
    centring: float = 0.0
    votes: VoteOptions = field(default_factory=VoteOptions)


class PreferenceModel:
    """A trained preference model: rewards on the real line, and quality in (0, 1)."""

    def __init__(self, model: Any, tokenizer: Any, max_length: int) -> None:
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length
        self.causal = not hasattr(tokenizer, "sep_token_id") or tokenizer.sep_token_id is None
        self.temperature, self.centre = 1.0, 0.0

    @classmethod
    def load(cls, path: str | Path) -> "PreferenceModel":
        """Open a folder that train_preference saved. Raises ValueError when it is none."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        file = Path(path) / "config.json"
        settings = json.loads(file.read_text()).get(SETTINGS) if file.is_file() else None
        if not settings:
            raise ValueError(f"{path} is not a preference model: expected a folder that train_preference saved")
        model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
        loaded = cls(model, AutoTokenizer.from_pretrained(path), settings["max_length"])
        loaded.temperature, loaded.centre = settings["temperature"], settings["centre"]
        return loaded

    @classmethod
    def from_base(cls, base_model: str, max_length: int) -> "PreferenceModel":
        """A pretrained encoder or causal model with a fresh scalar head."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base_model)
        model = AutoModelForSequenceClassification.from_pretrained(base_model, num_labels=1, dtype=torch.float32)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
        context = getattr(model.config, "max_position_embeddings", max_length)
        return cls(model, tokenizer, min(max_length, context))

    def rewards(self, items: Sequence[Item]) -> Tensor:
        """Rewards (N,) of (prompt, response) items, with gradient when grad is enabled."""
        rows = [
            reward_inputs(self.tokenizer, prompt, response, causal=self.causal, max_length=self.max_length)
            for prompt, response in items
        ]
        # Right padding: a causal model's reward is read at the last token that is not padding.
        batch = self.tokenizer.pad(rows, padding_side="right", return_tensors="pt")
        return self.model(**batch).logits.squeeze(-1).float()

    @torch.no_grad()
    def score(self, items: Sequence[Item], batch_size: int = 64) -> list[float]:
        """Rewards of (prompt, response) items; each distinct item is encoded once, like lengths together."""
        self.model.eval()
        distinct = sorted(set(items), key=lambda item: len(item[0]) + len(item[1]))
        rewards: dict[Item, float] = {}
        for start in range(0, len(distinct), batch_size):
            part = distinct[start : start + batch_size]
            rewards.update(zip(part, self.rewards(part).tolist(), strict=True))
        return [rewards[item] for item in items]

    def quality(self, rewards: Sequence[float]) -> list[float]:
        """Calibrated quality in (0, 1): the chance to beat the average training response."""
        return [float(expit((r - self.centre) / self.temperature)) for r in rewards]

    def save(self, output: Path) -> None:
        settings = {"temperature": self.temperature, "centre": self.centre, "max_length": self.max_length}
        setattr(self.model.config, SETTINGS, settings)
        self.model.save_pretrained(output)
        self.tokenizer.save_pretrained(output)


def train_preference(
    train: Sequence[Record],
    validation: Sequence[Record],
    *,
    base_model: str,
    output: Path,
    config: PreferenceConfig,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train a preference model on the pairs of `train` and save the best epoch by validation loss.

    Each step encodes every response of its prompts once, whatever the number of votes on it (DESIGN: 33
    encodings for 2,600 votes). Returns losses, steps and the calibration. Raises ValueError when either
    split compares no responses.
    """
    reporter = reporter or SilentReporter()
    train_pairs, validation_pairs = pairs_of(train), pairs_of(validation)
    for name, pairs in (("train", train_pairs), ("validation", validation_pairs)):
        if not pairs:
            raise ValueError(f"the {name} split has judgements, but none compares two responses")
    torch.manual_seed(config.seed)
    model = PreferenceModel.from_base(base_model, config.max_length)
    fit = _Fit(model, config, reporter, train_pairs, [*rankings_of(train), *rankings_of(validation)])
    best = fit.run(train_pairs, validation_pairs)
    model.centre = _mean_reward(model, train_pairs)
    model.temperature = fit_temperature(model, validation_pairs)
    reporter.log(f"temperature {model.temperature:.2f}, best validation loss {best:.4f}")
    model.save(output)
    return {
        "validation_loss": best,
        "train_pairs": len(train_pairs),
        "validation_pairs": len(validation_pairs),
        "steps": fit.step,
        "temperature": model.temperature,
        "centre": model.centre,
        "raters": _raters(fit.votes) if config.votes.reliability else None,
        "first_place": float(fit.votes.first.detach()) if config.votes.position else None,
    }


def _raters(votes: VoteModel) -> dict[str, Any]:
    """The learned reliabilities: the usual one, and those of the raters who are furthest below it."""
    learned = votes.reliability()
    worst = sorted(learned, key=lambda rater: learned[rater])[:20]
    usual = float(torch.sigmoid(votes.usual.detach()))
    return {"usual": usual, "raters": len(learned), "least_reliable": {rater: learned[rater] for rater in worst}}


class _Fit:
    """The training loop; the vote model's parameters are learned with the rewards and dropped afterwards."""

    def __init__(
        self,
        model: PreferenceModel,
        config: PreferenceConfig,
        reporter: Reporter,
        pairs: Sequence[Pair],
        rankings: Sequence[Ranking],
    ) -> None:
        self.model, self.config, self.reporter = model, config, reporter
        raters = raters_of(pairs) if config.votes.reliability else []
        self.votes = VoteModel(config.votes, raters, weight_of(pairs))
        self.rankings: dict[str, list[Ranking]] = {}
        for ranking in rankings if config.votes.whole_rankings else ():
            self.rankings.setdefault(ranking.prompt_id, []).append(ranking)
        self.rng = random.Random(config.seed)
        self.step = 0
        parameters = sum(p.numel() for p in model.model.parameters())
        rate = config.learning_rate or 1e-4 * math.sqrt(22e6 / parameters)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": model.model.parameters(), "lr": rate, "weight_decay": config.weight_decay},
                {"params": self.votes.parameters(), "lr": 2e-2, "weight_decay": 0.0},
            ]
        )

    def run(self, train: Sequence[Pair], validation: Sequence[Pair]) -> float:
        """Train, leave the best epoch's weights in the model, return its validation loss."""
        steps_an_epoch = len(list(batches(train, self.config.responses_per_step, random.Random(0))))
        epochs = max(self.config.epochs, math.ceil(self.config.min_steps / steps_an_epoch))
        total = epochs * steps_an_epoch
        schedule = LambdaLR(self.optimizer, lambda step: warmup_cosine(step, total, warmup_share=0.1))
        best, best_weights = math.inf, copy.deepcopy(self.model.model.state_dict())
        # With few steps an epoch, a look at the validation split after each would cost more than the training.
        look_every = max(1, epochs // 10)
        for epoch in range(epochs):
            for batch in batches(train, self.config.responses_per_step, self.rng):
                self._step(batch)
                schedule.step()
                advance(self.reporter, min(self.step, total), total)
            if (epoch + 1) % look_every and epoch + 1 < epochs:
                continue
            loss = self._validation_loss(validation)
            self.reporter.metric(self.step, validation_loss=loss)
            self.reporter.log(f"epoch {epoch + 1} of {epochs}: validation loss {loss:.4f}")
            if loss < best:
                best, best_weights = loss, copy.deepcopy(self.model.model.state_dict())
        self.model.model.load_state_dict(best_weights)
        self.model.model.eval()
        return best

    def _step(self, batch: Sequence[Pair]) -> None:
        self.model.model.train()
        items = _items(batch)
        rewards = self.model.rewards(items)
        loss = self._loss(batch, items, rewards) + self.config.centring * centre_penalty(rewards)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.step % 5 == 0:
            self.reporter.metric(self.step, loss=loss.item())

    def _loss(self, pairs: Sequence[Pair], items: Sequence[Item], rewards: Tensor) -> Tensor:
        place = {item: n for n, item in enumerate(items)}
        rankings = [r for pair in {p.prompt_id for p in pairs} for r in self.rankings.get(pair, ())]
        whole = [r for r in rankings if all((r.prompt, text) in place for text in r.responses)]
        return self.votes(rewards, place, pairs, whole)

    @torch.no_grad()
    def _validation_loss(self, pairs: Sequence[Pair]) -> float:
        items = _items(pairs)
        return self._loss(pairs, items, torch.tensor(self.model.score(items))).item()


def batches(pairs: Sequence[Pair], responses: int, rng: random.Random) -> Iterator[list[Pair]]:
    """Batches of pairs that together touch about `responses` responses, in random order.

    A prompt's responses are dealt into chunks of at most that many and the pairs within a chunk are trained
    on; pairs across chunks get their turn in another epoch's deal.
    """
    by_prompt: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt_id, []).append(pair)
    chunks = [chunk for group in by_prompt.values() for chunk in _chunks(group, responses, rng)]
    rng.shuffle(chunks)
    batch: list[Pair] = []
    filled = 0
    for size, chunk in chunks:
        if batch and filled + size > responses:
            yield batch
            batch, filled = [], 0
        batch, filled = batch + chunk, filled + size
    if batch:
        yield batch


def _chunks(pairs: Sequence[Pair], responses: int, rng: random.Random) -> Iterator[tuple[int, list[Pair]]]:
    """(number of responses, pairs among them) for each chunk of one prompt."""
    ids = sorted({pair.a_id for pair in pairs} | {pair.b_id for pair in pairs})
    rng.shuffle(ids)
    count = math.ceil(len(ids) / responses)
    chunk_of = {response: place % count for place, response in enumerate(ids)}
    inside: dict[int, list[Pair]] = {}
    for pair in pairs:
        if chunk_of[pair.a_id] == chunk_of[pair.b_id]:
            inside.setdefault(chunk_of[pair.a_id], []).append(pair)
    for chunk in inside.values():
        yield len({p.a_id for p in chunk} | {p.b_id for p in chunk}), chunk


def _indexed(pairs: Sequence[Pair]) -> tuple[list[Item], list[int], list[int]]:
    """The distinct items of the pairs, and the places of each pair's a and b among them."""
    place: dict[Item, int] = {}
    a = [place.setdefault((pair.prompt, pair.a), len(place)) for pair in pairs]
    b = [place.setdefault((pair.prompt, pair.b), len(place)) for pair in pairs]
    return list(place), a, b


def _items(pairs: Sequence[Pair]) -> list[Item]:
    return _indexed(pairs)[0]


def _mean_reward(model: PreferenceModel, pairs: Sequence[Pair]) -> float:
    items = _items(pairs)
    return sum(model.score(items)) / len(items)


def fit_temperature(model: PreferenceModel, pairs: Sequence[Pair]) -> float:
    """The T that makes σ((r_a - r_b) / T) fit the vote shares best (Guo et al. 2017), within [0.05, 20]."""
    items, a, b = _indexed(pairs)
    rewards = torch.tensor(model.score(items), dtype=torch.float64)
    difference = rewards[a] - rewards[b]
    share = torch.tensor([pair.share_a for pair in pairs], dtype=torch.float64)
    weight = torch.tensor([pair.wins_a + pair.wins_b + pair.ties for pair in pairs], dtype=torch.float64)
    # The loss is convex in 1/T and cheap: a fine grid is as good as an optimiser, and cannot diverge.
    grid = torch.logspace(math.log10(0.05), math.log10(20), 400, dtype=torch.float64)
    losses = torch.stack([bradley_terry(difference / t, share, weight) for t in grid])
    return float(grid[losses.argmin()])
