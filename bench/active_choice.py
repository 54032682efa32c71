"""How many judgements each rule of choosing needs for the same accuracy on debates that it never saw.

    .venv/bin/python bench/active_choice.py --data FOLDER --base-model ENCODER

FOLDER holds prompts, responses and judgements as import_judgements reads them (`.jsonl` or `.jsonl.gz`), with several
votes a pair; ENCODER is frozen, its features are read once and kept below --cache. A replay begins with votes on random
pairs, then each round fits what is to be learned, lets the rule choose, and uncovers one recorded vote on each chosen
pair. Two questions:

unseen: a preference model (`--kind linear` on the encoder, five heads) on groups of prompts that it never saw, which
take turns. standings: the strengths of the judged prompts' own responses (Bradley-Terry), on a third of the pairs,
which no rule may choose; this needs no encoder.
"""

import argparse
import gzip
import hashlib
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from replay_table import table  # noqa: E402

from core.records import Pair, Record, pairs_of  # noqa: E402
from training.engine.active_learning import selection  # noqa: E402
from training.engine.data.observations import Item, groups_of  # noqa: E402

HEADS, FOLDS = 5, 4
# The votes with which a replay begins, and how much each round adds to what is there.
BEGIN, GROWTH = 100, 1.6
RULES = {
    "unseen": ("random", "uncertainty", "information", "disagreement"),
    "standings": ("random", "information", "disagreement"),
}


@dataclass(frozen=True)
class Data:
    """Judgements as pairs with votes; features (N, D) of each (prompt, response) item."""

    pairs: list[Pair]
    place: dict[Item, int]
    features: np.ndarray


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    plain = folder / f"{name}.jsonl"
    data = plain.read_bytes() if plain.exists() else gzip.decompress(Path(f"{plain}.gz").read_bytes())
    return [json.loads(line) for line in data.decode().split("\n") if line.strip()]


def load(folder: Path, group_by: str, base: str, cache: Path) -> Data:
    prompts = {row["prompt_id"]: row for row in read(folder, "prompts")}
    texts = {row["response_id"]: row["text"] for row in read(folder, "responses")}
    records = [
        Record(
            prompt_id=row["prompt_id"],
            group=prompts[row["prompt_id"]].get(group_by) or row["prompt_id"],
            prompt=prompts[row["prompt_id"]]["text"],
            response_ids=tuple(row["shown"]),
            responses=tuple(texts[name] for name in row["shown"]),
            ranks=tuple(row["ranks"]),
            rater=row["rater"],
        )
        for row in read(folder, "judgements")
        if row.get("ranks") and len(row["shown"]) == 2
    ]
    pairs = pairs_of(records)
    items = list(dict.fromkeys((pair.prompt, text) for pair in pairs for text in (pair.a, pair.b)))
    return Data(
        pairs, {item: n for n, item in enumerate(items)}, features(items, base, cache) if base else np.empty((0, 0))
    )


def features(items: Sequence[Item], base: str, cache: Path) -> np.ndarray:
    """The frozen encoder's features, as train_preference --kind linear reads them; from the cache if they are there."""
    key = hashlib.sha256(json.dumps([str(Path(base).resolve()), items]).encode()).hexdigest()[:16]
    kept = cache / f"features-{key}.npy"
    if not kept.exists():
        from training.engine.models.base_models import probe

        began, encoder, found = time.perf_counter(), probe(base, outputs=1, max_length=256), {}
        encoder.prepare(items)
        by_length = sorted(items, key=encoder.length)
        for start in range(0, len(items), 32):
            part = by_length[start : start + 32]
            batch = encoder.batch(part)
            rows = encoder.model.features(batch.pop("input_ids"), batch.pop("attention_mask"), **batch)
            found.update(zip(part, rows.numpy(), strict=True))
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.stack([found[item] for item in items]))
        print(f"{len(items)} texts read in {time.perf_counter() - began:.1f} s", file=sys.stderr)
    return np.load(kept)


class CachedReader:
    """What fit_linear needs of a reader and its model, over features that were read before."""

    def __init__(self, data: Data) -> None:
        import torch

        size = data.features.shape[1]
        self.place, self.table = data.place, torch.from_numpy(data.features)
        self.model = self
        self.score = torch.nn.Linear(size, HEADS)
        self.mean, self.spread = torch.zeros(size - 1), torch.ones(size - 1)
        for parameter in self.score.parameters():
            torch.nn.init.zeros_(parameter)

    def prepare(self, items: Sequence[Item]) -> None:
        pass

    def length(self, item: Item) -> int:
        return 1

    def batch(self, items: Sequence[Item]) -> dict[str, Any]:
        import torch

        return {"input_ids": torch.tensor([self.place[item] for item in items]), "attention_mask": None}

    def features(self, places: Any, _mask: Any) -> Any:
        rows = self.table[places]
        import torch

        return torch.cat([(rows[:, :-1] - self.mean) / self.spread, rows[:, -1:]], dim=1)

    def members(self, items: Sequence[Item]) -> np.ndarray:
        """Rewards (N, M)."""
        return self.score(self.features(self.batch(items)["input_ids"], None)).detach().numpy()


def fit_model(data: Data, train: Sequence[Record], validation: Sequence[Record]) -> tuple[CachedReader, float]:
    """The model of these judgements, and its temperature."""
    from training.engine.models.reward import Settings
    from training.engine.objectives.scores import ScoreOptions
    from training.engine.objectives.votes import VoteOptions
    from training.engine.preference.calibration import fit_temperature
    from training.engine.preference.likelihood import Likelihood
    from training.engine.preference.linear import fit_linear
    from training.engine.runtime.progress import SilentReporter

    groups, held_out = groups_of(train), groups_of(validation)
    encoder = CachedReader(data)
    both = [*groups, *held_out]
    likelihood = Likelihood(Settings(max_length=256, heads=HEADS), both, VoteOptions(), ScoreOptions())
    out_of_fold = fit_linear(encoder, likelihood, groups, held_out, SilentReporter()).out_of_fold  # type: ignore[arg-type]
    pairs = [pair for group in both for pair in group.pairs if (pair.prompt, pair.a) in out_of_fold]
    difference = np.array([float((out_of_fold[p.prompt, p.a] - out_of_fold[p.prompt, p.b]).mean()) for p in pairs])
    share, weight = (np.array([getattr(pair, name) for pair in pairs]) for name in ("share_a", "votes_weight"))
    return encoder, fit_temperature(difference, share, weight)


def difference_of(encoder: CachedReader, pairs: Sequence[Pair]) -> np.ndarray:
    """Reward of a minus reward of b by member, (P, M)."""
    a = encoder.members([(pair.prompt, pair.a) for pair in pairs])
    return a - encoder.members([(pair.prompt, pair.b) for pair in pairs])


@dataclass
class Uncovered:
    """The votes of a pair in a random order, and how many of them have been uncovered."""

    pair: Pair
    order: list[int]
    count: int = 0

    def records(self) -> list[Record]:
        pair = self.pair
        return [
            Record(
                pair.prompt_id,
                pair.group,
                pair.prompt,
                (pair.a_id, pair.b_id),
                (pair.a, pair.b),
                {1.0: (1, 2), 0.0: (2, 1), 0.5: (1, 1)}[pair.votes[n].outcome],
                pair.votes[n].rater,
            )
            for n in self.order[: self.count]
        ]

    def counts(self) -> tuple[float, float, float]:
        outcomes = [self.pair.votes[n].outcome for n in self.order[: self.count]]
        return outcomes.count(1.0), outcomes.count(0.0), outcomes.count(0.5)


def replay(data: Data, rule: str, seed: int, fold: int, most: int, share: float) -> list[tuple[int, float, float]]:
    """(votes uncovered, accuracy on clear pairs, log-loss) of each round, on the groups of this fold."""
    rng = random.Random(f"{seed}")
    groups = sorted({pair.group for pair in data.pairs})
    rng.shuffle(groups)
    held_out = set(groups[fold::FOLDS])
    others = [group for group in groups if group not in held_out]
    rng = random.Random(f"{seed} {fold}")
    rng.shuffle(others)
    checked, learned = set(others[: max(1, len(others) // 4)]), set(others[max(1, len(others) // 4) :])
    pool = [
        Uncovered(pair, rng.sample(range(len(pair.votes)), len(pair.votes)))
        for pair in data.pairs
        if pair.group in learned and selection.alike(pair.a) != selection.alike(pair.b)
    ]
    for_check = [Uncovered(pair, [rng.randrange(len(pair.votes))], 1) for pair in data.pairs if pair.group in checked]
    validation = [record for one in rng.sample(for_check, min(400, len(for_check))) for record in one.records()]
    test = [pair for pair in data.pairs if pair.group in held_out]
    for one in rng.sample(pool, BEGIN):
        one.count = 1
    have, curve = BEGIN, []
    numbers = np.random.default_rng([seed, fold])
    while True:
        model, temperature = fit_model(data, [record for one in pool for record in one.records()], validation)
        curve.append((have, *figures(model, temperature, test)))
        if have >= most:
            return curve
        expected = min(most, round(have * GROWTH)) - have
        for one in chosen(
            rule,
            [one for one in pool if one.count < len(one.order)],
            model,
            temperature,
            expected,
            share,
            pool,
            numbers,
        ):
            one.count += 1
        have += expected


def replay_standings(
    data: Data, rule: str, seed: int, fold: int, most: int, share: float
) -> list[tuple[int, float, float]]:
    """(votes uncovered, accuracy on clear pairs, log-loss) of each round, on pairs that were kept apart."""
    rng, numbers = random.Random(f"{seed} {fold}"), np.random.default_rng([seed, fold])
    pairs = [pair for pair in data.pairs if selection.alike(pair.a) != selection.alike(pair.b)]
    rng.shuffle(pairs)
    test = pairs[: len(pairs) // 3]
    pool = [Uncovered(pair, rng.sample(range(len(pair.votes)), len(pair.votes))) for pair in pairs[len(test) :]]
    place: dict[tuple[str, str], int] = {}
    for pair in pairs:
        for name in (pair.a_id, pair.b_id):
            place.setdefault((pair.prompt_id, name), len(place))
    for one in rng.sample(pool, 4 * BEGIN):
        one.count = 1
    have, curve = 4 * BEGIN, []
    while True:
        graphs = selection.Graphs([], [prompt for prompt, _ in place], compared(pool, place))
        strength = {key: graphs.state[key[0]][0][graphs.place[n]] for key, n in place.items()}
        difference = np.array([strength[p.prompt_id, p.a_id] - strength[p.prompt_id, p.b_id] for p in test])
        curve.append((have, *compare(difference, test)))
        if have >= most:
            return curve
        expected = min(most, round(have * GROWTH)) - have
        left = [one for one in pool if one.count < len(one.order)]
        for one in chosen(rule, left, None, 1.0, expected, share, pool, numbers):
            one.count += 1
        have += expected


def compared(pool: Sequence[Uncovered], place: dict[tuple[str, str], int]) -> list[selection.Comparison]:
    """The uncovered votes by pair."""
    found = []
    for one in pool:
        if one.count:
            a, _b, ties = one.counts()
            i, j = (place[one.pair.prompt_id, name] for name in (one.pair.a_id, one.pair.b_id))
            found.append((i, j, (a + ties / 2) / one.count, float(one.count)))
    return found


def figures(model: CachedReader, temperature: float, test: Sequence[Pair]) -> tuple[float, float]:
    return compare(difference_of(model, test).mean(axis=1) / temperature, test)


def compare(difference: np.ndarray, test: Sequence[Pair]) -> tuple[float, float]:
    """Accuracy on pairs with a margin of two votes or more, and log-loss against all vote shares."""
    from training.engine.preference.calibration import cross_entropy

    margin, share = np.array([pair.margin for pair in test]), np.array([pair.share_a for pair in test])
    clear = np.abs(margin) >= 2
    right = np.where(difference == 0, 0.5, np.sign(difference) == np.sign(margin))
    loss = cross_entropy(1 / (1 + np.exp(-difference)), share)
    return float(right[clear].mean()), float(loss.mean())


def chosen(
    rule: str,
    candidates: Sequence[Uncovered],
    model: CachedReader | None,
    temperature: float,
    count: int,
    share: float,
    pool: Sequence[Uncovered],
    rng: np.random.Generator,
) -> list[Uncovered]:
    """As next_tasks chooses: a share at random, the rest by the rule."""
    part = count if rule == "random" else selection.random_part(count, share)
    drawn = set(rng.choice(len(candidates), part, replace=False).tolist())
    rest = [one for n, one in enumerate(candidates) if n not in drawn]
    twins = [tuple(sorted((selection.alike(one.pair.a), selection.alike(one.pair.b)))) for one in rest]
    by_rule = (
        selection.best(rule_of(rule, rest, model, temperature, pool), twins, count - part, rng) if count > part else []
    )
    return [candidates[n] for n in drawn] + [rest[n] for n in by_rule]


def rule_of(
    rule: str, rest: Sequence[Uncovered], model: CachedReader | None, temperature: float, pool: Sequence[Uncovered]
) -> selection.Rule:
    prompts = [one.pair.prompt_id for one in rest]
    if rule == "disagreement":
        return selection.Scores(selection.disagreement(np.array([one.counts() for one in rest])), prompts)
    if rule == "information":
        place: dict[tuple[str, str], int] = {}
        for one in pool:
            for name in (one.pair.a_id, one.pair.b_id):
                place.setdefault((one.pair.prompt_id, name), len(place))
        sets = [tuple(place[one.pair.prompt_id, name] for name in (one.pair.a_id, one.pair.b_id)) for one in rest]
        return selection.Graphs(sets, [prompt for prompt, _ in place], compared(pool, place))
    if model is None:
        raise ValueError(f"{rule} asks a model")
    p = 1 / (1 + np.exp(-difference_of(model, [one.pair for one in rest]) / temperature))
    return selection.Scores(selection.model_information(p), prompts)


def _replayed(data: Data, asked: argparse.Namespace, rule: str, seed: int, fold: int) -> list[tuple[int, float, float]]:
    import torch

    torch.set_num_threads(1)
    if asked.question == "standings":
        return replay_standings(data, rule, seed, fold, asked.most, asked.random_share)
    return replay(data, rule, seed, fold, asked.most, asked.random_share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base-model", help="needed for the question unseen")
    parser.add_argument("--question", choices=["unseen", "standings"], default="unseen")
    parser.add_argument("--group-by", default="debate", help="field of a prompt whose groups are held out whole")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "palate-active-choice")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=2684, help="judgements at the end of a replay")
    parser.add_argument("--random-share", type=float, default=0.2)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--curves", type=Path, help="keep the replays here, and go on with those that are there")
    asked = parser.parse_args()
    if asked.question == "unseen" and not asked.base_model:
        parser.error("--base-model is needed for the question unseen")
    data = load(asked.data, asked.group_by, asked.base_model, asked.cache)
    curves: dict[str, dict[str, Any]] = {rule: {} for rule in RULES[asked.question]}
    if asked.curves and asked.curves.exists():
        curves = json.loads(asked.curves.read_text())
    todo = [
        (rule, seed, fold)
        for seed in range(asked.seeds)
        for fold in range(FOLDS)
        for rule in curves
        if f"{seed}-{fold}" not in curves[rule]
    ]
    with multiprocessing.get_context("fork").Pool(asked.processes) as workers:
        waiting = [(job, workers.apply_async(_replayed, (data, asked, *job))) for job in todo]
        for (rule, seed, fold), result in waiting:
            curves[rule][f"{seed}-{fold}"] = result.get()
            print(f"{rule}, seed {seed}, fold {fold}: {curves[rule][f'{seed}-{fold}'][-1]}", file=sys.stderr)
            if asked.curves:
                asked.curves.write_text(json.dumps(curves))
    print(table(curves, [asked.most // 8, asked.most // 4, asked.most // 2]))


if __name__ == "__main__":
    main()
