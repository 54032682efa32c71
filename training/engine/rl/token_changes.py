"""Which tokens of a text became likelier or less likely by tuning."""

from collections.abc import Sequence

from training.engine.data.formatting import text_ids
from training.engine.generation.rows import Group
from training.engine.rl.actor import Actor
from training.engine.runtime.progress import Pieces


def changes(actor: Actor, prompts: Sequence[str], texts: Sequence[tuple[str, ...]]) -> list[list[Pieces]]:
    """For each prompt and each of its texts the text in pieces, its tokens, each with log π(token) - log π_ref(token)
    in nats, at the sampling temperature; the last piece is "" and stands for the end of the response, with 0 where that
    was cut.

    texts: (B, K). Pieces joined give the text again; what lies beyond max_new_tokens is one piece with 0. Their sum is
    the log-ratio of the response, from which DPO (Rafailov et al. 2023, sec. 4) makes its implicit reward.
    """
    groups = [
        Group(actor.prompt_ids(prompt), [actor.response_ids(text) for text in row])
        for prompt, row in zip(prompts, texts, strict=True)
    ]
    width = max(len(response) for group in groups for response in group.responses)
    ratio = actor.log_probs(groups, width) - actor.reference_log_probs(groups, width)
    tables = iter(ratio.tolist())
    return [[_pieces(actor, text, next(tables)) for text in row] for row in texts]


def _pieces(actor: Actor, text: str, ratios: Sequence[float]) -> Pieces:
    """The text cut at its tokens; tokens that are parts of one character are one piece."""
    found = text_ids(actor.policy.tokenizer, text, return_offsets_mapping=True)
    spans = found["offset_mapping"][: actor.config.max_new_tokens]
    whole = len(found["offset_mapping"]) < actor.config.max_new_tokens  # else there is no end token
    pieces: Pieces = []
    done = 0
    for (_, end), ratio in zip(spans, ratios, strict=False):
        if end > done or not pieces:
            pieces.append((text[done:end], ratio))
        else:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + ratio)
        done = max(done, end)
    rest = [(text[done:], 0.0)] if done < len(text) else []
    return [*pieces, *rest, ("", ratios[len(spans)] if whole else 0.0)]
