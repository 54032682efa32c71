"""Tuning a small story writer towards kind, happy stories, over seeds: reward, KL, fluency, variety, best-of-n.

    .venv/bin/python bench/policy_stories.py MODEL [--seeds 5] [--steps 60] [--algorithm rloo] [--unwatched]
        [--json FILE]

The true quality is known: the share of kind words in a story. Simulated raters, who err now and then, compare the
model's own stories by it; a preference model learns from them, a second one from other raters on other stories and
guards. The true quality is measured but never shown to the policy. With --unwatched neither guard nor KL budget nor
penalty holds the policy: what the reward is worth, far from the start. bench/plots.py draws what --json wrote.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


from over_seeds import mean_and_error

from core.records import Record
from training.engine.generation.sampling import generate, load_policy
from training.engine.preference.training import PreferenceConfig, train_preference
from training.engine.rl.config import ALGORITHMS, PolicyConfig
from training.engine.rl.finetune import TuningData, rl_finetune
from training.engine.rl.rewards import TERMS, RewardConfig

KIND = {
    "happy", "smiled", "smile", "love", "loved", "loves", "kind", "nice", "friend", "friends", "fun", "laughed",
    "hugged", "hug", "good", "best", "thank", "helped", "help", "share", "shared", "play", "played", "proud", "safe",
    "glad", "joy",
}  # fmt: skip
OPENINGS = [
    "Once upon a time, there was a {who}",
    "One day, a {who} went to the {where}",
    "The {who} saw a {what} in the {where}",
]
WHO = ["little girl", "boy", "dog", "cat", "bird", "bear", "mom", "bunny", "fish", "man"]
WHERE, WHAT = ["park", "forest", "house", "store", "garden", "beach"], ["ball", "tree", "box", "flower", "car", "cake"]
TOKENS, PAIRS = 64, 3
TRUTH = "true_quality"
FIGURES = ("reward", "guard_reward", f"reward_{TRUTH}", "kl", "perplexity_of_start", "distinct_2")


def quality(text: str) -> float:
    """Kind words in a hundred."""
    words = [word.strip(".,!?\"'").lower() for word in text.split()]
    return 100 * sum(word in KIND for word in words) / max(1, len(words))


# A term of weight nothing: looked at, and never a reason for a step.
TERMS[TRUTH] = lambda completions: [quality(text) for text in completions.texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--algorithm", default="rloo", choices=ALGORITHMS)
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--unwatched", action="store_true", help="no guard, no KL budget, no KL penalty")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    prompts = all_prompts()
    held_out, train = prompts[:100], prompts[100:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judged = {n: judgements(arguments.model, train, seed=n) for n in (1, 2)}
        for n, records in judged.items():
            fit(folder / f"judge{n}", records, seed=n)
        rows = [tuned(folder, arguments, train, held_out, judged[1], seed) for seed in range(arguments.seeds)]
    report(rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=2))


def all_prompts() -> list[str]:
    texts = {o.format(who=a, where=b, what=c) for o in OPENINGS for a in WHO for b in WHERE for c in WHAT}
    return random.Random(0).sample(sorted(texts), len(texts))


def judgements(model: str, prompts: list[str], seed: int) -> list[Record]:
    """Pairs of stories to each prompt, the kinder one preferred by nine raters in ten."""
    rng = random.Random(seed)
    samples = generate(load_policy(model), prompts, per_prompt=2 * PAIRS, max_completion_length=TOKENS, seed=seed)
    pairs = [
        (prompt, result[i].text, result[i + 1].text)
        for prompt, result in zip(prompts, samples, strict=True)
        for i in range(0, 2 * PAIRS, 2)
    ]
    records = []
    for n, (prompt, a, b) in enumerate(pairs):
        better = quality(a) > quality(b)
        if quality(a) == quality(b) or a == b:
            continue
        better ^= rng.random() < 0.1
        records.append(
            Record(prompt, prompt, prompt, (f"{n}a", f"{n}b"), (a, b), (1, 2) if better else (2, 1), f"r{seed}")
        )
    return records


def fit(output: Path, records: list[Record], seed: int) -> None:
    """Linear on text: single words are what these raters look for."""
    cut = len(records) * 9 // 10
    config = PreferenceConfig(kind="linear", max_length=160, seed=seed)
    train_preference(records[:cut], records[cut:], base_model="", output=output, config=config)


def tuned(
    folder: Path, arguments: argparse.Namespace, train: list[str], held_out: list[str], records: list[Record], seed: int
) -> dict:
    started = time.perf_counter()
    watched = not arguments.unwatched
    metrics = rl_finetune(
        policy=arguments.model, guard=str(folder / "judge2") if watched else "",
        reward=RewardConfig((str(folder / "judge1"),), terms=((TRUTH, 0.0),)),
        data=TuningData(train, held_out, {}, records[50:], records[:50]), output=folder / f"tuned{seed}",
        config=PolicyConfig(
            algorithm=arguments.algorithm, max_steps=arguments.steps, max_completion_length=TOKENS,
            beta=arguments.beta if watched else 0.0, max_kl=10.0 if watched else 0.0,
            missing_eos_penalty=0.0, eval_steps=2 if watched else 5, seed=seed,
        ),
    )  # fmt: skip
    before, after = metrics["before"], metrics["after"]
    row = {
        "seconds": time.perf_counter() - started,
        "best_step": metrics["best_step"],
        "stopped": metrics["stopped"],
        "best_of": metrics["best_of"],
        "frontier": metrics["frontier"],
        **{key: [before[key], after[key]] for key in FIGURES if key in before},
    }
    print(f"seed {seed}: " + json.dumps({key: row[key] for key in row if key != "frontier"}), flush=True)
    return row


def report(rows: list[dict]) -> None:
    print("\n| figure | before | after | best of 8 of the start |\n|---|---|---|---|")
    for key in (key for key in FIGURES if key in rows[0]):
        cells = [mean_and_error([row[key][side] for row in rows]) for side in (0, 1)]
        print(f"| {key} | {cells[0]} | {cells[1]} | {mean_and_error([row['best_of'][-1].get(key) for row in rows])} |")
    print(f"seconds: {mean_and_error([row['seconds'] for row in rows])}")


if __name__ == "__main__":
    main()
