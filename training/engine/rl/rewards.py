"""The reward of a text: a sum of named terms, each of which is logged apart."""

import importlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from training.engine.data.completions import Written
from training.engine.data.observations import Item
from training.engine.data.words import bare_words, spaced
from training.engine.models.reward import PreferenceModel, combined
from training.engine.runtime.numerics import NonFiniteError

PATIENCE = 5  # batches in a row in which a term may say the same of every sample


@dataclass(frozen=True)
class RewardConfig:
    """preference: folders of preference models. ensemble: how several models, or the members of one, become one
    reward; caution is λ of "uncertainty": mean - λ · standard deviation. terms: (name, weight) of TERMS. function:
    dotted path of a callable (prompts, responses) -> rewards, which counts with weight 1. The term "discriminator" is
    a classifier that learns while the policy is tuned."""

    preference: tuple[str, ...] = ()
    ensemble: str = "mean"
    caution: float = 1.0
    terms: tuple[tuple[str, float], ...] = ()
    function: str = ""


Term = Callable[[Written], Sequence[float]]


@runtime_checkable
class LearnedTerm(Protocol):
    """A reward term that learns from the policy's samples while the policy is tuned."""

    def __call__(self, written: Written) -> Sequence[float]: ...

    def learn(self, written: Written, steps: int = 1) -> None: ...

    def log_odds(self, items: Sequence[Item]) -> Tensor: ...

    def accuracy(self, made: Sequence[float]) -> float: ...

    def state(self) -> dict[str, Any]: ...

    def set_state(self, state: dict[str, Any]) -> None: ...


# Learned terms by name, each made from real (prompt, response) items and a seed; training.engine.experimental adds its
# own.
LEARNED_TERMS: dict[str, Callable[[Sequence[Item], int], LearnedTerm]] = {}


class RewardSum:
    """The terms with their weights. Raises ValueError naming the term that is not a number, or never varies."""

    def __init__(self, terms: dict[str, tuple[float, Term]], calibration: PreferenceModel | None) -> None:
        self.terms, self.calibration = terms, calibration
        self.same: dict[str, int] = {}

    @classmethod
    def load(cls, config: RewardConfig, real: Sequence[Item] = (), seed: int = 0) -> "RewardSum":
        """real: what a discriminator takes for real, as (prompt, response)."""
        terms: dict[str, tuple[float, Term]] = {}
        models = [PreferenceModel.load(path) for path in config.preference]
        if models:
            terms["preference"] = (1.0, Preference(models, config.ensemble, config.caution))
        for name, weight in config.terms:
            if name not in TERMS and name not in LEARNED_TERMS:
                expected = ", ".join((*TERMS, *LEARNED_TERMS))
                raise ValueError(f"reward term {name!r} is unknown; expected one of {expected}")
            terms[name] = (weight, LEARNED_TERMS[name](real, seed) if name in LEARNED_TERMS else TERMS[name])
        if config.function:
            terms[config.function] = (1.0, from_path(config.function))
        return cls(terms, models[0] if len(models) == 1 else None)

    def __call__(self, written: Written) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum (N,), and each term (N,) without its weight."""
        values = {name: _checked(name, term(written), len(written.texts)) for name, (_, term) in self.terms.items()}
        total = torch.zeros(len(written.texts))
        for name, (weight, _) in self.terms.items():
            total = total + weight * values[name]
        return total, values

    @property
    def adversary(self) -> LearnedTerm | None:
        """The term that changes while the policy is tuned, if there is one."""
        return next((term for _, term in self.terms.values() if isinstance(term, LearnedTerm)), None)

    def lasting(self, values: dict[str, Tensor]) -> Tensor:
        """The weighted sum (N,) of the terms that mean the same at every step, by which steps can be compared."""
        names = [name for name in values if name not in LEARNED_TERMS] or list(values)
        return torch.stack([self.terms[name][0] * values[name] for name in names]).sum(dim=0)

    def watch(self, values: dict[str, Tensor]) -> None:
        """Count the training batches in a row in which a term said the same of every sample."""
        for name, of_samples in values.items():
            varies = len(of_samples) > 1 and bool((of_samples != of_samples[0]).any())
            self.same[name] = 0 if varies or len(of_samples) == 1 else self.same.get(name, 0) + 1
            if self.same[name] >= PATIENCE:
                raise ValueError(
                    f"the reward term {name!r} gave {of_samples[0].item():.4g} to every sample of {PATIENCE} steps in "
                    "a row, so nothing can be learned from it; leave it out, or check what it measures"
                )

    def differentiable(self) -> PreferenceModel | None:
        """The preference model that is the whole reward, where there is one."""
        return self.calibration if len(self.terms) == 1 else None

    def quality(self, preference: Sequence[float]) -> list[float] | None:
        """Calibrated quality of preference rewards, where one preference model gives them."""
        return self.calibration.quality(preference) if self.calibration else None


@dataclass(frozen=True)
class Preference:
    """Preference models as one term. Several models have scales of their own, so each is first brought to that of
    its calibration, (r - centre) / temperature; a single one keeps its rewards."""

    models: Sequence[PreferenceModel]
    ensemble: str
    caution: float

    def __call__(self, written: Written) -> Sequence[float]:
        of_models = [self._members(model, written.items) for model in self.models]
        members = [[reward for row in rows for reward in row] for rows in zip(*of_models, strict=True)]
        return combined(members, self.ensemble, self.caution)

    def _members(self, model: PreferenceModel, items: list[tuple[str, str]]) -> list[list[float]]:
        """One row an item, one reward a member."""
        rows = model.score_members(items)
        if len(self.models) == 1:
            return rows
        return [[(reward - model.centre) / model.temperature for reward in row] for row in rows]


def from_path(path: str) -> Term:
    """The callable (prompts, responses) -> rewards at a dotted path. Raises ValueError when there is none."""
    module, _, name = path.rpartition(".")
    try:
        function: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"reward function {path!r}: {error}") from None
    if not callable(function):
        raise ValueError(f"reward function {path!r} is no callable")
    return lambda written: function(list(written.prompts), list(written.texts))


def _checked(name: str, values: Any, count: int) -> Tensor:
    """A term's values (count,) for texts. Raises ValueError where they are not one finite number for each."""
    try:
        rewards = [float(value) for value in values]
    except (TypeError, ValueError):
        raise ValueError(f"the reward term {name!r} must give a list of numbers, not {str(values)[:80]}") from None
    if len(rewards) != count:
        raise ValueError(f"the reward term {name!r} gave {len(rewards)} rewards for {count} texts")
    for place, value in enumerate(rewards):
        if not math.isfinite(value):
            raise NonFiniteError(f"the reward term {name!r} gave {value} to text {place + 1} of a batch of {count}")
    return torch.tensor(rewards, dtype=torch.float32)


# --- terms beside preference models ---------------------------------------------------------------------------------


def fluency(written: Written) -> Sequence[float]:
    """Minus the cross-entropy of the text under the reference policy, nats a token."""
    return written.log_reference


def length(written: Written) -> Sequence[float]:
    """The number of tokens: with a negative weight a penalty on length."""
    return [float(n) for n in written.lengths]


def exact_match(written: Written) -> Sequence[float]:
    """1 where text and reference are the same words (Rajpurkar et al. 2016)."""
    return [float(_words(t) == _words(r)) for t, r in _beside_references("exact_match", written)]


def f1(written: Written) -> Sequence[float]:
    """The harmonic mean of precision and recall of the reference's words (Rajpurkar et al. 2016)."""
    return [_overlap(_words(t), _words(r)) for t, r in _beside_references("f1", written)]


def accuracy(written: Written) -> Sequence[float]:
    """1 where the text starts with the reference, a class's name, whatever follows."""
    pairs = _beside_references("accuracy", written)
    return [float(_words(t)[: len(_words(r))] == _words(r)) for t, r in pairs]


def chrf(written: Written) -> Sequence[float]:
    """chrF of the text against the reference, 0 to 1 (Popović 2015), by sacrebleu."""
    import sacrebleu

    return [sacrebleu.sentence_chrf(t, [r]).score / 100 for t, r in _beside_references("chrf", written)]


def bleu(written: Written) -> Sequence[float]:
    """Smoothed sentence BLEU of the text against the reference, 0 to 1, by sacrebleu."""
    import sacrebleu

    pairs = _beside_references("bleu", written)
    return [sacrebleu.sentence_bleu(spaced(t), [spaced(r)]).score / 100 for t, r in pairs]


TERMS: dict[str, Term] = {
    "fluency": fluency,
    "length": length,
    "chrf": chrf,
    "bleu": bleu,
    "exact_match": exact_match,
    "f1": f1,
    "accuracy": accuracy,
}
NEEDS_REFERENCES = {"chrf", "bleu", "exact_match", "f1", "accuracy"}
ARTICLES = {"a", "an", "the"}


def _beside_references(name: str, written: Written) -> list[tuple[str, str]]:
    for prompt, reference in zip(written.prompts, written.references, strict=True):
        if not reference:
            raise ValueError(f"the reward term {name!r} needs a reference, but this prompt has none: {prompt[:80]!r}")
    return list(zip(written.texts, written.references, strict=True))


def _words(text: str) -> list[str]:
    return [word for word in bare_words(text) if word not in ARTICLES]


def _overlap(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0
