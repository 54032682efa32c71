"""Rewards explained word by word, for a page: prompts on which the model errs, and others drawn at random."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from core.records import Pair, Record, pairs_of
from training.engine.evaluation.attribution import attribute
from training.engine.models.reward import PreferenceModel

RESPONSES = 4


def explanations(
    model: PreferenceModel,
    records: Sequence[Record],
    errors: Sequence[Mapping[str, Any]],
    *,
    prompts: int,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """So many prompts with up to RESPONSES of their responses, best reward first. Half of the prompts are those of the
    most confident errors (with the two responses of the error), the others are drawn from the rest."""
    by_prompt: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs_of(records):
        by_prompt[pair.prompt_id].append(pair)
    wrong = {error["prompt_id"]: [error["preferred"]["id"], error["other"]["id"]] for error in reversed(errors)}
    chosen = list(dict.fromkeys(error["prompt_id"] for error in errors))[: (prompts + 1) // 2]
    rest = [prompt for prompt in by_prompt if prompt not in wrong]
    rng = random.Random(seed)
    chosen += rng.sample(rest, min(len(rest), prompts - len(chosen)))
    return [_explained(model, by_prompt[prompt], wrong.get(prompt, []), rng) for prompt in chosen]


def _explained(
    model: PreferenceModel, pairs: Sequence[Pair], first: Sequence[str], rng: random.Random
) -> dict[str, Any]:
    responses: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        for id_, text, author, share in (
            (pair.a_id, pair.a, pair.a_author, pair.share_a),
            (pair.b_id, pair.b, pair.b_author, 1 - pair.share_a),
        ):
            row = responses.setdefault(id_, {"id": id_, "text": text, "author": author, "won": 0.0, "votes": 0.0})
            row["won"] += share * pair.votes_weight
            row["votes"] += pair.votes_weight
    others = [id_ for id_ in responses if id_ not in first]
    rng.shuffle(others)
    shown = [responses[id_] for id_ in [*first, *others][:RESPONSES]]
    prompt = pairs[0].prompt
    rewards = model.score([(prompt, row["text"]) for row in shown])
    for row, reward, quality in zip(shown, rewards, model.quality(rewards), strict=True):
        attribution = attribute(model, (prompt, row["text"]))
        row["words"] = [[piece, round(part, 4)] for piece, part in attribution.words]
        row |= {"length": attribution.length, "difference": attribution.difference}
        row |= {"reward": reward, "quality": quality, "won": row["won"] / row["votes"]}
        del row["text"]
    return {
        "prompt_id": pairs[0].prompt_id,
        "prompt": prompt,
        "error": list(first),
        "responses": sorted(shown, key=lambda row: -row["reward"]),
    }
