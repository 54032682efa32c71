"""How tuning changed the log-probability of each token of a text."""

from collections.abc import Sequence

from training.engine.data.formatting import text_ids
from training.engine.generation.rows import Group
from training.engine.rl.actor import Actor
from training.engine.runtime.progress import Pieces


def changes(actor: Actor, prompts: Sequence[str], texts: Sequence[tuple[str, ...]]) -> list[list[Pieces]]:
    """Return for each prompt and each of its texts the pieces of the text, each with its change in log-probability.

    texts: (B, K). A piece is a token with log π(token) - log π_ref(token) in nats, at the sampling temperature. The
    last piece is "" and stands for the end of the response, with 0 where the response was cut. The pieces concatenate
    to the text; what exceeds max_completion_length is one piece with 0. Their sum is the log-ratio of the response,
    from which DPO (Rafailov et al. 2023, sec. 4) derives its implicit reward.
    """
    groups = [
        Group(actor.prompt_ids(prompt), [actor.response_ids(text) for text in row])
        for prompt, row in zip(prompts, texts, strict=True)
    ]
    width = max(len(response) for group in groups for response in group.responses)
    ratio = actor.log_probs(groups, width) - actor.reference_log_probs(groups, width)
    rows = iter(ratio.tolist())
    return [[_pieces(actor, text, next(rows)) for text in row] for row in texts]


def _pieces(actor: Actor, text: str, ratios: Sequence[float]) -> Pieces:
    """Split the text at its tokens; tokens that are parts of one character form one piece."""
    offsets = text_ids(actor.policy.tokenizer, text, return_offsets_mapping=True)["offset_mapping"]
    spans = offsets[: actor.config.max_completion_length]
    complete = len(offsets) < actor.config.max_completion_length  # otherwise there is no end token
    pieces: Pieces = []
    done = 0
    for (_, end), ratio in zip(spans, ratios, strict=False):
        if end > done or not pieces:
            pieces.append((text[done:end], ratio))
        else:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + ratio)
        done = max(done, end)
    rest = [(text[done:], 0.0)] if done < len(text) else []
    return [*pieces, *rest, ("", ratios[len(spans)] if complete else 0.0)]
