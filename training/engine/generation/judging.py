"""A causal language model as a judge of pairs: the log-probability of answering A against that of answering B."""

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
    """What a judge is asked. The texts are a stranger's; whoever reads a judge's words must not obey them either."""
    return QUESTION.format(instructions=instructions.strip(), prompt=prompt, first=first, second=second).strip()


@torch.no_grad()
def first_better(policy: Policy, questions: Sequence[str]) -> list[float]:
    """For each question the model's chance of A among A and B, from 0 to 1. The end of a question that is too long
    is kept, since the answer follows it."""
    tokenizer, model = policy.tokenizer, policy.model
    a, b = (_token(tokenizer, letter) for letter in ("A", "B"))
    chances = []
    for asked in questions:
        templated = bool(getattr(tokenizer, "chat_template", None))
        answer = [] if templated else text_ids(tokenizer, ANSWER)["input_ids"]
        ids = [*policy.limited_prompt_ids(asked, policy.context - len(answer)), *answer]
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        chances.append(float(torch.sigmoid(logits[a] - logits[b])))
    return chances


def _token(tokenizer: object, letter: str) -> int:
    """The first token of the letter as it would follow a text. Raises ValueError when the tokenizer has none."""
    ids = tokenizer(" " + letter, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    plain = tokenizer(letter, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    chosen = ids[-1] if ids else plain[-1] if plain else None
    if chosen is None:
        raise ValueError(f"the tokenizer has no token for {letter!r}")
    return int(chosen)
