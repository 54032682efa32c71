"""Policy networks side by side: plain, with a latent (VAE), and against a discriminator (GAN), at equal samples.

    .venv/bin/python bench/policy_kinds.py [--seeds 5] [--first-seed 0] [--steps 40] [--beta 0.05]
        [--distinct-floor 0] [--work FOLDER] [--json FILE]

A plain policy is pretrained on the demo's corpus and carried on as one with a latent, each for --pretrain-steps. A
simulated rater compares pairs of the plain one's responses; a causal preference model made from it is the reward, a
linear one on another rater's pairs is the held-out reward that no policy is tuned on. Then each kind is tuned from its
own start with the same prompts and number of samples; a discriminator takes the corpus for real. Printed are means
before and after over prompts that neither tuning nor its evaluations used, the hidden quality that no model sees among
them, and the seeds in which the held-out reward rose and distinct-2 stayed above 80 % of the start's. With --work
what was pretrained and judged is kept for the next call.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.records import Record
from training.demo import corpus
from training.demo.raters import crowd, quality
from training.engine.data.documents import Document
from training.engine.generation.sampling import generate, load_policy
from training.engine.models.reward import PreferenceModel
from training.engine.preference.training import PreferenceConfig, train_preference
from training.engine.pretraining.training import PretrainConfig, pretrain
from training.engine.rl.config import PolicyConfig
from training.engine.rl.evaluator import distinct, self_bleu
from training.engine.rl.finetune import TuningData, rl_finetune
from training.engine.rl.rewards import RewardConfig

TOKENS, PER_PROMPT = 48, 4
# name: (the start, changes of the tuning, further terms)
KINDS = {
    "plain, rloo": ("plain", {}, ()),
    "plain, pathwise": ("plain", {"algorithm": "pathwise"}, ()),
    "VAE, rloo": ("vae", {}, ()),
    "VAE, pathwise": ("vae", {"algorithm": "pathwise"}, ()),
    "GAN, ppo": ("plain", {"algorithm": "ppo"}, (("discriminator", 0.3),)),
}
FIGURES = ("reward", "guard_reward", "true quality", "kl", "perplexity_of_start", "distinct_2", "self_bleu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pretrain-steps", type=int, default=200)
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--distinct-floor", type=float, default=0.0)
    parser.add_argument("--start", type=Path, help="folder with plain and vae to tune from in all seeds (default: own)")
    parser.add_argument("--work", type=Path, help="keep models in this folder")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    rows: dict[str, list[dict]] = {name: [] for name in arguments.kinds}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.work / f"seed-{seed}" if arguments.work else Path(temporary)
            for name, row in one_seed(folder, arguments, seed):
                rows[name].append(row)
                print(f"seed {seed}, {name}: {json.dumps(row)}", flush=True)
    report(rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=2))


@dataclass(frozen=True)
class Asked:
    """Prompts: to tune on, to look at, and for the figures; the corpus's (prompt, response) pairs."""

    train: list[str]
    held_out: list[str]
    fresh: list[str]
    texts: list[tuple[str, str]]


def one_seed(folder: Path, arguments: argparse.Namespace, seed: int):
    texts = corpus.documents(4000, seed)
    prompts = corpus.prompts(500, seed)
    fresh, held_out, train = prompts[:100], prompts[100:200], prompts[200:]
    if arguments.start:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("plain", "vae"):
            (folder / kind).symlink_to((arguments.start / kind).resolve())
    elif not (folder / "guard" / "config.json").exists():
        pretrained(folder, arguments, texts, seed)
    if not (folder / "guard" / "config.json").exists():
        judges(folder, train, seed)
    for name in arguments.kinds:
        yield name, tuned(folder, arguments, name, Asked(train, held_out, fresh, texts), seed)


def pretrained(folder: Path, arguments: argparse.Namespace, texts: list[tuple[str, str]], seed: int) -> None:
    documents = [Document(prompt, (text,)) for prompt, text in texts]
    config = PretrainConfig(max_steps=arguments.pretrain_steps, seed=seed)
    onward = replace(config, policy_kind="vae", base=str(folder / "plain"), learning_rate=1e-3)
    for kind, settings in (("plain", config), ("vae", onward)):
        started = time.perf_counter()
        metrics = pretrain(documents, output=folder / kind, config=settings)
        result = {
            key: metrics[key] for key in ("perplexity", "reconstruction", "latent_kl", "active_units") if key in metrics
        }
        print(
            f"seed {seed}, {kind} pretrained in {time.perf_counter() - started:.0f} s: {json.dumps(result)}", flush=True
        )


def judges(folder: Path, prompts: list[str], seed: int) -> None:
    """The reward, with the policies' tokenizer, and the one that is never shown to them."""
    options = {
        "reward": PreferenceConfig(max_length=96, seed=seed),
        "guard": PreferenceConfig(kind="linear", seed=seed),
    }
    for n, (name, config) in enumerate(options.items()):
        records = judgements(str(folder / "plain"), prompts[n::2], seed=10 * seed + n)
        cut = len(records) * 9 // 10
        base = str(folder / "plain") if name == "reward" else ""
        train_preference(records[:cut], records[cut:], base_model=base, output=folder / name, config=config)


def judgements(model: str, prompts: list[str], seed: int) -> list[Record]:
    """Rankings of a prompt's responses by one simulated rater."""
    rater, rng = crowd(1, seed)[0], random.Random(seed)
    samples = generate(load_policy(model), prompts, per_prompt=PER_PROMPT, max_completion_length=TOKENS, seed=seed)
    records = []
    for prompt, written in zip(prompts, samples, strict=True):
        texts = tuple(dict.fromkeys(one.text for one in written if one.text))
        if len(texts) < 2:
            continue
        ids = tuple(f"{prompt}{n}" for n in range(len(texts)))
        records.append(Record(prompt, prompt, prompt, ids, texts, tuple(rater.rank(prompt, texts, rng)), f"r{seed}"))
    return records


def tuned(folder: Path, arguments: argparse.Namespace, name: str, asked: Asked, seed: int) -> dict:
    start, changes, terms = KINDS[name]
    started = time.perf_counter()
    config = PolicyConfig(
        max_steps=arguments.steps, max_completion_length=TOKENS, beta=arguments.beta, eval_steps=5, best_of=1,
        seed=seed,
        distinct_floor=arguments.distinct_floor,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as output:
        metrics = rl_finetune(
            policy=str(folder / start), reward=RewardConfig((str(folder / "reward"),), terms=terms),
            guard=str(folder / "guard"), data=TuningData(asked.train, asked.held_out, {}, real=asked.texts),
            output=Path(output), config=replace(config, **changes),
        )  # fmt: skip
        seconds = time.perf_counter() - started
        both = [measured(folder, policy, asked.fresh, seed) for policy in (str(folder / start), output)]
    row = {key: [figures[key] for figures in both] for key in both[0]}
    for key in ("kl", "perplexity_of_start", *(["discriminator_accuracy"] if terms else [])):
        row[key] = [metrics[place][key] for place in ("before", "after")]
    evaluations = [
        {key: evaluation[key] for key in ("step", "guard_reward", "distinct_2")} for evaluation in metrics["frontier"]
    ]
    return row | {
        "best_step": metrics["best_step"],
        "stopped": metrics["stopped"],
        "evaluations": evaluations,
        "seconds": seconds,
    }


def measured(folder: Path, policy: str, prompts: list[str], seed: int) -> dict[str, float]:
    """What a policy writes to prompts that no choice was made by: one sample each."""
    samples = generate(load_policy(policy), prompts, max_completion_length=TOKENS, seed=seed + 1)
    items = [(prompt, one.text) for prompt, (one,) in zip(prompts, samples, strict=True)]
    texts = [text for _, text in items]
    rewards = {name: PreferenceModel.load(folder / name).score(items) for name in ("reward", "guard")}
    return {
        "reward": statistics.fmean(rewards["reward"]),
        "guard_reward": statistics.fmean(rewards["guard"]),
        "true quality": statistics.fmean(quality(*item) for item in items),
        "distinct_2": distinct(texts, 2),
        "self_bleu": self_bleu(texts),
    }


def report(rows: dict[str, list[dict]]) -> None:
    print(f"\n| policy | {' | '.join(FIGURES)} | rose | varied | seconds |\n|---{'|---' * (len(FIGURES) + 3)}|")
    for name, seeds in rows.items():
        cells = [" → ".join(_mean_and_error([row[key][n] for row in seeds]) for n in (0, 1)) for key in FIGURES]
        rose = sum(row["guard_reward"][1] > row["guard_reward"][0] for row in seeds)
        varied = sum(row["distinct_2"][1] > 0.8 * row["distinct_2"][0] for row in seeds)
        counts = f"{rose} of {len(seeds)} | {varied} of {len(seeds)}"
        print(f"| {name} | {' | '.join(cells)} | {counts} | {_mean_and_error([row['seconds'] for row in seeds])} |")


def _mean_and_error(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
