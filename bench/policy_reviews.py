"""A pretrained language model tuned by LoRA to go on with film reviews in a kind way: base, best of 8, tuned.

    .venv/bin/python bench/policy_reviews.py MODEL movie_reviews.zip [--judge ENCODER] [--work FOLDER] [--json FILE]

The reward is a linear model, on text or with --judge on the frozen states of an encoder, that learned positive from
negative passages of one half of the films; the guard, which the policy never sees, one of the other half. Prompts are
the first words of passages of films that neither learned from. With --work the run goes on where it was interrupted.
Printed are reward and guard (means over held-out prompts), KL, perplexity under the start, distinct-2, seconds and the
peak of memory.
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

from pretraining_objectives import accuracy, passage, read, sentence_pairs

from training.engine.policy import Material, PolicyConfig, RewardConfig, rl_finetune
from training.engine.preference_training import PreferenceConfig, train_preference
from training.engine.progress import SilentReporter
from training.engine.reward import PreferenceModel

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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep judges and checkpoints in this folder")
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
        started = time.perf_counter()
        metrics = rl_finetune(
            policy=args.model, reward=RewardConfig((str(work / "judge-0"),)), guard=str(work / "judge-1"),
            material=Material(prompts[HELD_OUT:], prompts[:HELD_OUT], {}, [], []), output=work / f"tuned-{args.seed}",
            reporter=Telling(), checkpoint=work / f"run-{args.seed}.pt" if args.work else None,
            config=PolicyConfig(
                steps=args.steps, prompts_per_step=16, samples_per_prompt=4, max_new_tokens=32, kl_budget=10.0,
                beta=0.02, unfinished_penalty=0.0, look_every=4, lora_rank=8, learning_rate=args.learning_rate,
                best_of=8, checkpoint_every=2, seed=args.seed,
            ),
        )  # fmt: skip
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures = {name: metrics[name] for name in ("before", "after", "kept_step", "stopped", "best_of")}
    figures |= {"seconds": time.perf_counter() - started, "peak_gigabytes": memory, "judges": right}
    print(json.dumps(figures, indent=2))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
