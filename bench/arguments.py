"""Preference models on real judgements with ties, over folds that keep every debate (or other group) whole.

    python bench/arguments.py DATA --base-model ENCODER [--trl-python TRL_ENVIRONMENT/bin/python]

DATA holds prompts.jsonl.gz, responses.jsonl.gz and judgements.jsonl.gz as import_judgements takes them; --group names
the field of a prompt that is never split. For each fold and seed the figures of evaluate_preference on the prompts
that were left out, then their means with an interval over folds. With --trl-python TRL's RewardTrainer trains on the
majority's pairs of the first fold, in the same run, and is measured each quarter of its epoch.
"""

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

# name: what differs from the defaults of train_preference
VARIANTS = {
    "linear on text": {"kind": "linear"},
    "linear on the frozen encoder": {"kind": "linear", "base": True},
    "encoder": {"base": True},
    "encoder, majority votes": {"base": True, "votes": {"majority": True}},
    "encoder, ties as half wins": {"base": True, "votes": {"ties": "half"}},
    "encoder, rater reliability": {"base": True, "votes": {"reliability": True}},
}
FIGURES = ("accuracy", "accuracy_clear", "log_loss", "ece", "kendall_tau")
MARGINS = (1, 2, 3, 4)


def read(folder, name):
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def records_of(folder, group):
    from core.records import Record

    prompts = {p["prompt_id"]: p for p in read(folder, "prompts")}
    texts = {r["response_id"]: r["text"] for r in read(folder, "responses")}
    return [
        Record(
            prompt_id=j["prompt_id"],
            group=str(prompts[j["prompt_id"]].get(group) or j["prompt_id"]),
            prompt=prompts[j["prompt_id"]]["text"],
            response_ids=tuple(j["shown"]),
            responses=tuple(texts[r] for r in j["shown"]),
            ranks=tuple(j["ranks"]) if j.get("ranks") else None,
            rater=j["rater"],
            scores={key: tuple(v / 100 for v in values) for key, values in (j.get("scores") or {}).items()},
        )
        for j in read(folder, "judgements")
    ]


def folds(records, count, seed=7):
    """(train, validation, test) with whole groups: each is in one fold's test, and an eighth of the rest validates."""
    groups = sorted({record.group for record in records})
    random.Random(seed).shuffle(groups)
    for k in range(count):
        test = set(groups[k::count])
        rest = [group for group in groups if group not in test]
        validation = set(rest[:: max(2, len(rest) // 2)][: max(1, len(rest) // 6)])
        yield (
            [r for r in records if r.group not in test and r.group not in validation],
            [r for r in records if r.group in validation],
            [r for r in records if r.group in test],
        )


def fit(train, validation, folder, variant, base, *, seed, **options):
    """Seconds of the processor that train_preference takes with a variant's options."""
    from training.engine.objectives.votes import VoteOptions
    from training.engine.preference.training import PreferenceConfig, train_preference

    changes = {key: value for key, value in variant.items() if key not in ("base", "votes")}
    config = PreferenceConfig(seed=seed, votes=VoteOptions(**variant.get("votes", {})), **changes, **options)
    started = time.process_time()
    train_preference(train, validation, base_model=base if variant.get("base") else "", output=folder, config=config)
    return time.process_time() - started


def measure(folder, test):
    """The figures, with the group as the unit of the bootstrap, and the accuracy on pairs with at least each margin."""
    from training.engine.evaluation.metrics import evaluate
    from training.engine.models.reward import PreferenceModel

    model = PreferenceModel.load(folder)
    return {**evaluate(model, test), **by_margin(model, test)}


def by_margin(model, test):
    """margin 2: share of the pairs with two votes more for one side on which the model prefers it, and so on;
    longer 2: the same of the longer response."""
    import numpy as np

    from core.records import pairs_of
    from training.engine.evaluation.metrics import hits

    pairs = pairs_of(test)
    margin = np.array([p.margin for p in pairs])
    sides = ([(p.prompt, p.a) for p in pairs], [(p.prompt, p.b) for p in pairs])
    right = hits(np.subtract(*(model.score(side) for side in sides)), margin)
    longer = hits(np.array([float(len(p.a) - len(p.b)) for p in pairs]), margin)
    least = {k: np.abs(margin) >= k for k in MARGINS}
    shares = {"margin": right, "longer": longer}
    return {f"{name} {k}": what[least[k]].mean() for name, what in shares.items() for k in MARGINS}


def trl(python, base, train, test, folder, *, threads, options):
    """TRL's RewardTrainer on the majority's pairs: (seconds, clear accuracy) along one epoch, in both precisions."""
    import torch
    from preference_vs_trl import run_trl
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from core.records import pairs_of
    from training.engine.models.encoder import Encoder
    from training.engine.models.reward import PreferenceModel, Settings

    pairs = [p for p in pairs_of(train) if p.margin]
    rows = [
        {"prompt": p.prompt + "\n", "chosen": won, "rejected": lost}
        for p in pairs
        for won, lost in [(p.a, p.b) if p.margin > 0 else (p.b, p.a)]
    ]
    random.Random(0).shuffle(rows)
    job = {
        "base": base, "output": str(folder), "pairs": rows, "batch": 16, "epochs": 1, "seed": 0, "learning_rate": 5e-5,
        "max_length": 256, "bfloat16": True, "threads": threads, "save_every": -(-len(rows) // 16 // 4), **options,
    }  # fmt: skip
    done = run_trl(python, job)
    tokenizer = AutoTokenizer.from_pretrained(base)
    from training.engine.evaluation.metrics import evaluate

    for mark in done["marks"]:
        model = AutoModelForSequenceClassification.from_pretrained(mark["folder"], dtype=torch.float32).eval()
        encoder = Encoder(model, tokenizer, 256)
        figures = evaluate(PreferenceModel([encoder], Settings(256)), test)
        yield mark["seconds"], figures
    yield done["seconds"], None


def mean_interval(rows, name):
    """Mean over folds and seeds of a figure, and the interval of the mean over folds (t of the folds' own means)."""
    import numpy as np
    from scipy.stats import t

    by_fold = [np.mean([f[name] for f in fold if f[name] is not None]) for fold in rows]
    mean, error = np.mean(by_fold), np.std(by_fold, ddof=1) / len(by_fold) ** 0.5 if len(by_fold) > 1 else np.nan
    reach = t.ppf(0.975, len(by_fold) - 1) * error if len(by_fold) > 1 else np.nan
    return f"{mean:.3f} [{mean - reach:.3f}, {mean + reach:.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--group", default="debate")
    parser.add_argument("--base-model", required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--ensemble", type=int, default=1)
    parser.add_argument("--trl-python")
    parser.add_argument("--trl-steps", type=int, default=-1, help="stop TRL after so many steps of its epoch")
    args = parser.parse_args()
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    records = records_of(args.data, args.group)
    divided = list(folds(records, args.folds))
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as parent:
        for name in args.variants:
            variant = VARIANTS[name]
            seeds = 1 if variant.get("kind") == "linear" else args.seeds
            rows, seconds = [], []
            for k, (train, validation, test) in enumerate(divided):
                rows.append([])
                for seed in range(seeds):
                    folder = Path(parent) / f"{name}-{k}-{seed}"
                    options = {"num_epochs": args.epochs, "ensemble": args.ensemble}
                    seconds.append(fit(train, validation, folder, variant, args.base_model, seed=seed, **options))
                    rows[-1].append(measure(folder, test))
                    result = " ".join(f"{rows[-1][-1][figure]:.3f}" for figure in FIGURES)
                    print(f"{name}, fold {k}, seed {seed}: {result} in {seconds[-1]:.0f} s", flush=True)
            result = ", ".join(f"{figure} {mean_interval(rows, figure)}" for figure in FIGURES)
            print(f"## {name}: {result}; {sum(seconds) / len(seconds):.0f} s a model", flush=True)
            print("   " + ", ".join(f"{k} {mean_interval(rows, k)}" for k in rows[0][0] if k[-1].isdigit()), flush=True)
        baselines = [[figures["baselines"] for figures in fold] for fold in rows]
        for name in baselines[0][0]:
            print(f"## {name}: {mean_interval(baselines, name)}")
        if args.trl_python:
            train, _, test = divided[0]
            options = {"max_steps": args.trl_steps}
            marks = trl(
                args.trl_python, args.base_model, train, test, Path(parent) / "trl",
                threads=torch.get_num_threads(), options=options,
            )  # fmt: skip
            for passed, figures in marks:
                result = f"accuracy_clear {figures['accuracy_clear']:.3f}" if figures else "the whole run"
                print(f"TRL, fold 0: {result} after {passed:.0f} s", flush=True)


if __name__ == "__main__":
    main()
