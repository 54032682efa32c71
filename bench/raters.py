"""What knowing the raters is worth: a model of the majority, of all votes, and of votes weighed by learned reliability.

Each fold holds out whole groups of prompts *and* a fifth of the raters. Every model is trained on the other raters'
votes on the other groups, and asked two things: what the held-out raters said on the groups it knows, and on those it
does not. With --replaced SHARE so many of the training raters are replaced by some who answer at random, or with
--by contrary say the opposite of what they said, so that the truth about them is known.

    python bench/raters.py /path/to/arguments                      # bag of tokens: no base model, minutes
    python bench/raters.py /path/to/arguments --base-model FOLDER  # linear on the states of a frozen encoder
"""

import argparse
import dataclasses
import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np  # noqa: E402
from arguments import folds, records_of  # noqa: E402
from scipy.stats import t  # noqa: E402

READINGS = {
    "majority": {"majority": True},
    "votes": {},
    "votes, reliability": {"reliability": True},
    "votes, reliability, position": {"reliability": True, "position": True},
}
HELD_OUT = 0.2


def answers(model, records):
    """Each vote's difference of rewards, a minus b, and its outcome (1 for a, 0 for b, 0.5 a tie), both (N,)."""
    from core.records import pairs_of

    pairs = pairs_of(records)
    items = [(p.prompt, text) for p in pairs for text in (p.a, p.b)]
    reward = dict(zip(items, model.score(items), strict=True))
    rows = [(reward[p.prompt, p.a] - reward[p.prompt, p.b], vote.outcome) for p in pairs for vote in p.votes]
    return np.array(rows).T


def figures(model, records):
    """(log loss a vote, accuracy of votes that are no tie) of the calibrated model on single votes."""
    from training.engine.preference.calibration import cross_entropy

    difference, outcome = answers(model, records)
    probability = 1 / (1 + np.exp(-difference / model.temperature))
    result = outcome != 0.5
    return cross_entropy(probability, outcome).mean(), ((difference > 0) == (outcome > 0.5))[result].mean()


def with_bad_raters(records, share, how, rng):
    """The records with a share of the raters answering at random (ties as often as everybody) or the opposite of what
    they said, and who they are."""
    raters = sorted({record.rater for record in records})
    bad = set(rng.sample(raters, round(share * len(raters))))
    orders = [record.ranks for record in records]

    def answer(ranks):
        if how == "contrary":
            return tuple(max(ranks) + 1 - rank for rank in ranks)
        return rng.choice(orders)[:: rng.choice((1, -1))]

    changed = [dataclasses.replace(r, ranks=answer(r.ranks)) if r.rater in bad else r for r in records]
    return changed, bad


def fit(train, validation, folder, options, base, seed):
    from training.engine.models.reward import PreferenceModel
    from training.engine.objectives.votes import VoteOptions
    from training.engine.preference.training import PreferenceConfig, train_preference

    config = PreferenceConfig(kind="linear", seed=seed, votes=VoteOptions(**options))
    metrics = train_preference(train, validation, base_model=base, output=folder, config=config)
    return PreferenceModel.load(folder), metrics


def interval(values):
    reach = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return f"{np.mean(values):.4f} [{np.mean(values) - reach:.4f}, {np.mean(values) + reach:.4f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--group", default="debate")
    parser.add_argument("--base-model", default="")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--replaced", type=float, default=0.0, metavar="SHARE", help="training raters who are replaced")
    parser.add_argument("--by", choices=("random", "contrary"), default="random", help="who takes their place")
    parser.add_argument("--readings", nargs="*", default=list(READINGS), choices=list(READINGS), help="with votes")
    args = parser.parse_args()
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    records = records_of(args.data, args.group)
    rng = random.Random(0)
    raters = sorted({record.rater for record in records})
    unseen = set(rng.sample(raters, round(HELD_OUT * len(raters))))
    known = [record for record in records if record.rater not in unseen]
    known, bad = with_bad_raters(known, args.replaced, args.by, rng)
    found = {name: [] for name in args.readings}
    caught = []
    others = [record for record in records if record.rater in unseen]
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as parent:
        for k, (train, validation, test) in enumerate(folds(known, args.folds)):
            trained, held_out = ({record.group for record in part} for part in (train, test))
            parts = [[record for record in others if record.group in groups] for groups in (trained, held_out)]
            for name in args.readings:
                folder = Path(parent) / f"{k}-{name}"
                model, metrics = fit(train, validation, folder, READINGS[name], args.base_model, k)
                found[name].append([figure for part in parts for figure in figures(model, part)])
                print(f"fold {k}, {name}: " + " ".join(f"{x:.4f}" for x in found[name][-1]), flush=True)
                if name == "votes, reliability" and bad:
                    caught.append(np.mean([rater in bad for rater in metrics["raters"]["least_reliable"]]))
    heads = ("log loss, known groups", "accuracy, known groups", "log loss, unseen groups", "accuracy, unseen groups")
    print(f"\nvotes of {len(unseen)} held-out raters, {args.folds} folds; differences from “votes” with 95 % intervals")
    for name, rows in found.items():
        print(f"\n{name}")
        for column, head in enumerate(heads):
            own = np.array(rows)[:, column]
            print(f"  {head}: {own.mean():.4f}; difference {interval(own - np.array(found['votes'])[:, column])}")
    if caught:
        print(f"\nof the twenty least reliable raters {interval(caught)} were replaced, of all {args.replaced}")


if __name__ == "__main__":
    main()
