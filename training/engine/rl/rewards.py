"""The reward of a text: a weighted sum of named terms, each logged separately."""

import importlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from training.engine.data.completions import Completions
from training.engine.data.observations import Item
from training.engine.data.words import bare_words, spaced
from training.engine.models.reward import PreferenceModel, combined
from training.engine.runtime.numerics import NonFiniteError

MAX_CONSTANT_STEPS = 5  # consecutive batches in which a term may give every sample the same value


@dataclass(frozen=True)
class RewardConfig:
    """The terms of a reward.

    preference: folders of preference models. ensemble: how several models, or the members of one, are combined;
    uncertainty_penalty is λ of "uncertainty": mean - λ · standard deviation. terms: (name, weight) of TERMS. function:
    dotted path of a callable (prompts, responses) -> rewards, added with weight 1. The term "discriminator" is a
    classifier that learns during tuning.
    """

    preference: tuple[str, ...] = ()
    ensemble: str = "mean"
    uncertainty_penalty: float = 1.0
    terms: tuple[tuple[str, float], ...] = ()
    function: str = ""


Term = Callable[[Completions], Sequence[float]]


@runtime_checkable
class LearnedTerm(Protocol):
    """A reward term that learns from the policy's samples during tuning."""

    def __call__(self, completions: Completions) -> Sequence[float]: ...

    def learn(self, completions: Completions, steps: int = 1) -> None: ...

    def log_odds(self, items: Sequence[Item]) -> Tensor: ...

    def accuracy(self, sample_log_odds: Sequence[float]) -> float: ...

    def state(self) -> dict[str, Any]: ...

    def set_state(self, state: dict[str, Any]) -> None: ...


# Constructors of learned terms by name, from real (prompt, response) items and a seed; training.engine.experimental
# registers its own.
LEARNED_TERMS: dict[str, Callable[[Sequence[Item], int], LearnedTerm]] = {}


class RewardSum:
    """The weighted sum of the terms. Raises ValueError naming a term that is not a number, or never varies."""

    def __init__(self, terms: dict[str, tuple[float, Term]], calibration: PreferenceModel | None) -> None:
        self.terms, self.calibration = terms, calibration
        self.constant_steps: dict[str, int] = {}

    @classmethod
    def load(cls, config: RewardConfig, real: Sequence[Item] = (), seed: int = 0) -> "RewardSum":
        """Load the terms. real: the (prompt, response) items that a discriminator learns as real."""
        terms: dict[str, tuple[float, Term]] = {}
        models = [PreferenceModel.load(path) for path in config.preference]
        if models:
            terms["preference"] = (1.0, PreferenceTerm(models, config.ensemble, config.uncertainty_penalty))
        for name, weight in config.terms:
            if name not in TERMS and name not in LEARNED_TERMS:
                expected = ", ".join((*TERMS, *LEARNED_TERMS))
                raise ValueError(f"reward term {name!r} is unknown; expected one of {expected}")
            terms[name] = (weight, LEARNED_TERMS[name](real, seed) if name in LEARNED_TERMS else TERMS[name])
        if config.function:
            terms[config.function] = (1.0, load_reward_function(config.function))
        return cls(terms, models[0] if len(models) == 1 else None)

    def __call__(self, completions: Completions) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum (N,), and each term (N,) without its weight."""
        values = {
            name: _checked(name, term(completions), len(completions.texts)) for name, (_, term) in self.terms.items()
        }
        total = torch.zeros(len(completions.texts))
        for name, (weight, _) in self.terms.items():
            total = total + weight * values[name]
        return total, values

    @property
    def adversary(self) -> LearnedTerm | None:
        """The term that changes during tuning, if there is one."""
        return next((term for _, term in self.terms.values() if isinstance(term, LearnedTerm)), None)

    def comparable_sum(self, values: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum (N,) of the terms that do not change during tuning, so that steps are comparable."""
        names = [name for name in values if name not in LEARNED_TERMS] or list(values)
        return torch.stack([self.terms[name][0] * values[name] for name in names]).sum(dim=0)

    def check_variation(self, values: dict[str, Tensor]) -> None:
        """Count the consecutive batches in which a term gave every sample the same value.

        Raises ValueError after MAX_CONSTANT_STEPS of them.
        """
        for name, term_values in values.items():
            varies = len(term_values) > 1 and bool((term_values != term_values[0]).any())
            self.constant_steps[name] = 0 if varies or len(term_values) == 1 else self.constant_steps.get(name, 0) + 1
            if self.constant_steps[name] >= MAX_CONSTANT_STEPS:
                raise ValueError(
                    f"the reward term {name!r} gave {term_values[0].item():.4g} to every sample of "
                    f"{MAX_CONSTANT_STEPS} consecutive steps, so nothing can be learned from it; leave it out, or "
                    "check what it measures"
                )

    def differentiable(self) -> PreferenceModel | None:
        """Return the preference model that is the whole reward, if there is one."""
        return self.calibration if len(self.terms) == 1 else None

    def quality(self, preference: Sequence[float]) -> list[float] | None:
        """Return the calibrated quality of preference rewards where one preference model gives them, else None."""
        return self.calibration.quality(preference) if self.calibration else None


@dataclass(frozen=True)
class PreferenceTerm:
    """Preference models as one term.

    Several models have different scales, so each reward is first calibrated, (r - centre) / temperature; a single
    model keeps its rewards.
    """

    models: Sequence[PreferenceModel]
    ensemble: str
    uncertainty_penalty: float

    def __call__(self, completions: Completions) -> Sequence[float]:
        rewards_by_model = [self._members(model, completions.items) for model in self.models]
        members = [[reward for row in rows for reward in row] for rows in zip(*rewards_by_model, strict=True)]
        return combined(members, self.ensemble, self.uncertainty_penalty)

    def _members(self, model: PreferenceModel, items: list[tuple[str, str]]) -> list[list[float]]:
        """Return one row per item, with one reward per ensemble member."""
        rows = model.score_members(items)
        if len(self.models) == 1:
            return rows
        return [[(reward - model.centre) / model.temperature for reward in row] for row in rows]


def load_reward_function(path: str) -> Term:
    """Return the callable (prompts, responses) -> rewards at a dotted path. Raises ValueError when there is none."""
    module, _, name = path.rpartition(".")
    try:
        function: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"reward function {path!r}: {error}") from None
    if not callable(function):
        raise ValueError(f"reward function {path!r} is not callable")
    return lambda completions: function(list(completions.prompts), list(completions.texts))


def _checked(name: str, values: Any, count: int) -> Tensor:
    """Return a term's values (count,) for texts. Raises ValueError unless they are one finite number for each."""
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


# --- other terms ----------------------------------------------------------------------------------------------------


def fluency(completions: Completions) -> Sequence[float]:
    """Return the negative cross-entropy of the text under the reference policy, in nats per token."""
    return completions.log_reference


def length(completions: Completions) -> Sequence[float]:
    """Return the number of tokens: with a negative weight a length penalty."""
    return [float(n) for n in completions.lengths]


def exact_match(completions: Completions) -> Sequence[float]:
    """Return 1 where text and reference are the same words (Rajpurkar et al. 2016)."""
    return [float(_words(t) == _words(r)) for t, r in _with_references("exact_match", completions)]


def f1(completions: Completions) -> Sequence[float]:
    """Return the harmonic mean of precision and recall of the reference's words (Rajpurkar et al. 2016)."""
    return [_word_f1(_words(t), _words(r)) for t, r in _with_references("f1", completions)]


def accuracy(completions: Completions) -> Sequence[float]:
    """Return 1 where the text starts with the reference, such as the name of a class."""
    pairs = _with_references("accuracy", completions)
    return [float(_words(t)[: len(_words(r))] == _words(r)) for t, r in pairs]


def chrf(completions: Completions) -> Sequence[float]:
    """Return chrF of the text against the reference, 0 to 1 (Popović 2015), computed by sacrebleu."""
    import sacrebleu

    return [sacrebleu.sentence_chrf(t, [r]).score / 100 for t, r in _with_references("chrf", completions)]


def bleu(completions: Completions) -> Sequence[float]:
    """Return smoothed sentence BLEU of the text against the reference, 0 to 1, computed by sacrebleu."""
    import sacrebleu

    pairs = _with_references("bleu", completions)
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


def _with_references(name: str, completions: Completions) -> list[tuple[str, str]]:
    for prompt, reference in zip(completions.prompts, completions.references, strict=True):
        if not reference:
            raise ValueError(f"the reward term {name!r} needs a reference, but this prompt has none: {prompt[:80]!r}")
    return list(zip(completions.texts, completions.references, strict=True))


def _words(text: str) -> list[str]:
    return [word for word in bare_words(text) if word not in ARTICLES]


def _word_f1(prediction: list[str], reference: list[str]) -> float:
    common = sum((Counter(prediction) & Counter(reference)).values())
    return 2 * common / (len(prediction) + len(reference)) if common else 0.0
