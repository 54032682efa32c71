"""Use a causal language model as a judge of pairs: compare the log-probabilities of the answers A and B."""

from collections.abc import Sequence

import torch

from training.engine.data.formatting import text_ids
from training.engine.generation.sampling import Policy

QUESTION = """{instructions}

Prompt:
{prompt}

Response A:
{first}

Response B:
{second}

Which response is better, A or B? Answer with one letter."""
ANSWER = "Answer:"


def question(instructions: str, prompt: str, first: str, second: str) -> str:
    """Return the question for a judge. The texts are untrusted, and so is any text that a judge generates from them."""
    return QUESTION.format(instructions=instructions.strip(), prompt=prompt, first=first, second=second).strip()


@torch.no_grad()
def prefer_first(policy: Policy, questions: Sequence[str]) -> list[float]:
    """Return for each question the model's probability of A among A and B. A question that is too long loses its
    beginning, since the answer follows its end."""
    tokenizer, model = policy.tokenizer, policy.model
    a, b = (_token(tokenizer, letter) for letter in ("A", "B"))
    probabilities = []
    for text in questions:
        templated = bool(getattr(tokenizer, "chat_template", None))
        answer = [] if templated else text_ids(tokenizer, ANSWER)["input_ids"]
        ids = [*policy.limited_prompt_ids(text, policy.context - len(answer)), *answer]
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        probabilities.append(float(torch.sigmoid(logits[a] - logits[b])))
    return probabilities


def _token(tokenizer: object, letter: str) -> int:
    """Return the token of the letter as it follows a text. Raises ValueError when the tokenizer has none."""
    ids = tokenizer(" " + letter, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    plain = tokenizer(letter, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    chosen = ids[-1] if ids else plain[-1] if plain else None
    if chosen is None:
        raise ValueError(f"the tokenizer has no token for {letter!r}")
    return int(chosen)
