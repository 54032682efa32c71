"""A pretrained language model tuned by LoRA to go on with film reviews in a kind way: base, best of 8, tuned.

    .venv/bin/python bench/policy_reviews.py MODEL movie_reviews.zip [--judge ENCODER] [--seeds 3] [--work FOLDER]
        [--json FILE]

The reward is a linear model, on text or with --judge on the frozen states of an encoder, that learned positive from
negative passages of one half of the films; the guard, which the policy never sees, one of the other half. Prompts are
the first words of passages of films that neither learned from. With --work the run goes on where it was interrupted,
and what is done is not done again. Seeds differ in the prompts of a step and in all draws. Printed are means over
held-out prompts, ± standard deviation over seeds, of the start, of its best of 8, of the policy at the KL of best of 8
and of the policy that was kept; then seconds and the peak of memory.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from over_seeds import mean_and_error
from pretraining_objectives import accuracy, passage, read, sentence_pairs

from training.engine.models.reward import PreferenceModel
from training.engine.preference.training import PreferenceConfig, train_preference
from training.engine.rl.config import PolicyConfig
from training.engine.rl.finetune import TuningData, rl_finetune
from training.engine.rl.frontiers import at_kl
from training.engine.rl.rewards import RewardConfig
from training.engine.runtime.progress import SilentReporter

WORDS, PAIRS, HELD_OUT = 8, 4000, 48


class Telling(SilentReporter):
    def log(self, message):
        print(f"  {message}", flush=True)


def judge(folder, reviews, base, seed):
    if not (folder / "config.json").exists():
        pairs = sentence_pairs(reviews, PAIRS, seed)
        cut = len(pairs) * 9 // 10
        config = PreferenceConfig(kind="linear", max_length=128, seed=seed)
        train_preference(pairs[:cut], pairs[cut:], base_model=base, output=folder, config=config)
    return accuracy(PreferenceModel.load(folder), reviews)


def openings(reviews, count):
    rng = random.Random(3)
    films = [text for texts in reviews.values() for text in texts[int(len(texts) * 0.9) :]]
    texts = (" ".join(passage(rng, rng.choice(films)).split()[:WORDS]) for _ in range(3 * count))
    return list(dict.fromkeys(text for text in texts if len(text.split()) == WORDS))[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--judge", default="", help="encoder that the judges read with")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--work", type=Path, help="keep judges, checkpoints and results in this folder")
    parser.add_argument("--json", help="write the figures to this file")
    args = parser.parse_args()
    reviews = read(args.corpus)
    halves = [{kind: texts[n::2] for kind, texts in reviews.items()} for n in (0, 1)]
    prompts = openings(reviews, HELD_OUT + 400)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        right = [judge(work / f"judge-{n}", half, args.judge, seed=n) for n, half in enumerate(halves)]
        print(f"judges on passages of films they never saw: {right[0]:.3f} and {right[1]:.3f}", flush=True)
        rows = [tuned(work, args, prompts, seed) for seed in range(args.seeds)]
    report(rows)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2))


def tuned(work, args, prompts, seed):
    """One seed's figures, from `work` when they are there."""
    result = work / f"figures-{seed}.json"
    if result.exists():
        return json.loads(result.read_text())
    started = time.process_time()
    metrics = rl_finetune(
        policy=args.model, reward=RewardConfig((str(work / "judge-0"),)), guard=str(work / "judge-1"),
        data=TuningData(prompts[HELD_OUT:], prompts[:HELD_OUT], {}, [], []), output=work / f"tuned-{seed}",
        reporter=Telling(), checkpoint=work / f"run-{seed}.pt",
        config=PolicyConfig(
            max_steps=args.steps, prompts_per_step=16, num_generations=4, max_completion_length=32, max_kl=10.0,
            beta=0.02, missing_eos_penalty=0.0, eval_steps=2, lora_r=8, learning_rate=args.learning_rate,
            best_of=8, save_steps=2, seed=seed,
        ),
    )  # fmt: skip
    row = {name: metrics[name] for name in ("before", "after", "best_step", "stopped", "best_of", "frontier")}
    row |= {
        "processor_seconds": time.process_time() - started,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    result.write_text(json.dumps(row, indent=2))
    print(f"seed {seed}: step {row['best_step']} kept; {row['stopped']}", flush=True)
    return row


def report(rows):
    names = ("start", "best of 8", "tuned, at the KL of best of 8", "tuned")
    print("\n| figure | " + " | ".join(names) + " |\n|---|---|---|---|---|")
    for measure in ("reward", "guard_reward", "quality", "guard_quality", "kl", "perplexity_of_start", "distinct_2"):
        best_of = [row["best_of"][-1] for row in rows]
        equal = [at_kl(row["frontier"], best["kl"], measure) for row, best in zip(rows, best_of, strict=True)]
        columns = [[row["before"][measure] for row in rows], [best.get(measure) for best in best_of], equal]
        cells = [mean_and_error(column) for column in (*columns, [row["after"][measure] for row in rows])]
        print(f"| {measure} | " + " | ".join(cells) + " |")
    for measure in ("processor_seconds", "peak_gigabytes"):
        print(f"{measure}: {mean_and_error([row[measure] for row in rows], 1)}")


if __name__ == "__main__":
    main()
