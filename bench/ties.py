"""What ties are worth: Davidson's model of them against dropping ties and counting them as half wins.

As in raters.py each fold holds out whole groups of prompts and a fifth of the raters. Every model learns from the other
raters' votes on the other groups and is asked what the held-out raters said, on groups that it knows and on others.
Each reading gets the scale and the rate of ties that predict those votes best, so that none is judged by what it could
not know. Printed are the log loss a vote of all three answers by the reading's own likelihood and by
Davidson's for all, which compares the rewards alone; and the log loss and accuracy of the votes that are no tie.

    python bench/ties.py /path/to/arguments                      # bag of tokens: no base model, minutes
    python bench/ties.py /path/to/arguments --base-model FOLDER  # linear on the states of a frozen encoder
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import numpy as np  # noqa: E402
from arguments import folds, records_of  # noqa: E402
from raters import HELD_OUT, answers, fit, interval  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

DAVIDSON, OTHERS = "Davidson", ("half wins", "dropped")
OPTIONS = {DAVIDSON: {}, "half wins": {"ties": "half"}, "dropped": {}}
FIGURES = ("all votes, own likelihood", "all votes, Davidson's", "decisive votes", "accuracy of decisive votes")


def davidson(difference, rate):
    """log P(a), log P(b), log P(tie), each (N,): Davidson 1970, as training.engine.objectives.losses."""
    logits = np.stack([difference / 2, -difference / 2, np.full_like(difference, rate)])
    return logits - np.logaddexp.reduce(logits, axis=0)


def one_rate(difference, rate):
    """Ties as often whatever the rewards: what readings say that do not explain them."""
    decisive = -np.logaddexp(0, rate)
    a, b = (decisive - np.logaddexp(0, sign * difference) for sign in (-1, 1))
    return np.stack([a, b, np.full_like(difference, rate + decisive)])


OWN = {DAVIDSON: davidson, "half wins": one_rate, "dropped": one_rate}


def best_loss(likelihood, difference, answer):
    """The log loss a vote with the best scale and rate of ties. answer: (N,), 0 for a, 1 for b, 2 for a tie."""

    def loss(scale_and_rate):
        scale, rate = scale_and_rate
        return -likelihood(difference * np.exp(scale), rate)[answer, np.arange(len(answer))].mean()

    return minimize(loss, (0.0, -1.0), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7}).fun


def figures(model, records, own):
    """FIGURES of what the records' raters said."""
    difference, outcome = answers(model, records)
    answer = np.select([outcome == 1, outcome == 0], [0, 1], 2)
    decisive = answer < 2
    result = difference[decisive], answer[decisive]
    return [
        best_loss(own, difference, answer),
        best_loss(davidson, difference, answer),
        best_loss(lambda d, rate: one_rate(d, -50.0), *result),
        ((result[0] > 0) == (result[1] == 0)).mean(),
    ]


def decisive_only(records):
    return [record for record in records if len(set(record.ranks)) > 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--group", default="debate")
    parser.add_argument("--base-model", default="")
    parser.add_argument("--folds", type=int, default=5)
    args = parser.parse_args()
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    records = records_of(args.data, args.group)
    raters = sorted({record.rater for record in records})
    unseen = set(random.Random(0).sample(raters, round(HELD_OUT * len(raters))))
    known, others = ([r for r in records if (r.rater in unseen) == out] for out in (False, True))
    print(f"{len(records)} votes, {1 - len(decisive_only(records)) / len(records):.3f} of them ties", flush=True)
    found = {name: [] for name in OPTIONS}
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as parent:
        for k, (train, validation, test) in enumerate(folds(known, args.folds)):
            trained, held_out = ({record.group for record in part} for part in (train, test))
            parts = [[record for record in others if record.group in groups] for groups in (trained, held_out)]
            for name, options in OPTIONS.items():
                learned = [decisive_only(p) if name == "dropped" else p for p in (train, validation)]
                model, _ = fit(*learned, Path(parent) / f"{k}-{name}", options, args.base_model, k)
                found[name].append([figures(model, part, OWN[name]) for part in parts])
                print(f"fold {k}, {name}: " + " ".join(f"{x:.4f}" for x in np.ravel(found[name][-1])), flush=True)
    print(
        f"\nvotes of {len(unseen)} held-out raters, {args.folds} folds; differences from {DAVIDSON} with 95 % intervals"
    )
    figures = {name: np.array(rows) for name, rows in found.items()}  # (folds, 2, FIGURES)
    for place, groups in enumerate(("known groups", "unseen groups")):
        for column, head in enumerate(FIGURES):
            own = figures[DAVIDSON][:, place, column]
            print(f"\n{head}, {groups}: {DAVIDSON} {own.mean():.4f}")
            for name in OTHERS:
                print(f"  {name}: {interval(figures[name][:, place, column] - own)}")


if __name__ == "__main__":
    main()
