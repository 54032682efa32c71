"""Policy networks side by side: plain, with a latent (VAE), and against a discriminator (GAN), at equal samples.

    .venv/bin/python bench/policy_kinds.py [--seeds 5] [--steps 40] [--beta 0.05] [--json FILE]

A plain policy is pretrained on the demo's corpus and carried on as one with a latent, each for --pretrain-steps. A
simulated rater compares pairs of the plain one's responses; a causal preference model made from it is the reward, a
linear one on another rater's pairs is the held-out reward that no policy is tuned on. Then each kind is tuned from its
own start with the same prompts and number of samples; a discriminator takes the corpus for real. Printed are means over
held-out prompts before and after, the hidden quality that no model ever sees among them, and the seeds in which the
held-out reward rose and distinct-2 stayed above 80 % of the start's.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training.demo import corpus
from training.demo.raters import crowd, quality
from training.engine.documents import Document
from training.engine.policy import Material, PolicyConfig, RewardConfig, rl_finetune
from training.engine.preference_training import PreferenceConfig, train_preference
from training.engine.pretraining import PretrainConfig, pretrain
from training.engine.progress import SilentReporter
from training.engine.records import Record
from training.engine.sampling import generate, load_policy

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
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pretrain-steps", type=int, default=200)
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    rows: dict[str, list[dict]] = {name: [] for name in arguments.kinds}
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            for name, row in one_seed(Path(folder), arguments, seed):
                rows[name].append(row)
                print(f"seed {seed}, {name}: {json.dumps(row)}", flush=True)
    report(rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=2))


def one_seed(folder: Path, arguments: argparse.Namespace, seed: int):
    texts = corpus.documents(4000, seed)
    documents = [Document(prompt, (text,)) for prompt, text in texts]
    config = PretrainConfig(steps=arguments.pretrain_steps, seed=seed)
    onward = replace(config, policy_kind="vae", base=str(folder / "plain"), learning_rate=1e-3)
    for kind, settings in (("plain", config), ("vae", onward)):
        started = time.perf_counter()
        metrics = pretrain(documents, output=folder / kind, config=settings)
        told = {
            key: metrics[key] for key in ("perplexity", "reconstruction", "latent_kl", "active_units") if key in metrics
        }
        print(
            f"seed {seed}, {kind} pretrained in {time.perf_counter() - started:.0f} s: {json.dumps(told)}", flush=True
        )
    prompts = corpus.prompts(400, seed)
    held_out, train = prompts[:100], prompts[100:]
    judges(folder, train, seed)
    for name in arguments.kinds:
        start, changes, terms = KINDS[name]
        yield name, tuned(folder, arguments, start, changes, terms, train, held_out, texts, seed)


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
    samples = generate(load_policy(model), prompts, per_prompt=PER_PROMPT, max_new_tokens=TOKENS, seed=seed)
    records = []
    for prompt, written in zip(prompts, samples, strict=True):
        texts = tuple(dict.fromkeys(one.text for one in written if one.text))
        if len(texts) < 2:
            continue
        ids = tuple(f"{prompt}{n}" for n in range(len(texts)))
        records.append(Record(prompt, prompt, prompt, ids, texts, tuple(rater.rank(prompt, texts, rng)), f"r{seed}"))
    return records


def tuned(folder, arguments, start, changes, terms, train, held_out, texts, seed) -> dict:
    pairs: list[tuple[str, tuple[str, str]]] = []

    class Reading(SilentReporter):
        def comparison(self, step, prompt, both, rewards):
            pairs.append((prompt, both))

    started = time.perf_counter()
    config = PolicyConfig(
        steps=arguments.steps,
        max_new_tokens=TOKENS,
        beta=arguments.beta,
        look_every=arguments.steps,
        best_of=1,
        seed=seed,
    )
    metrics = rl_finetune(
        policy=str(folder / start), reward=RewardConfig((str(folder / "reward"),), terms=terms),
        guard=str(folder / "guard"), material=Material(train, held_out, {}, real=texts), output=folder / "tuned",
        config=replace(config, **changes), reporter=Reading(),
    )  # fmt: skip
    looks = (metrics["frontier"][0], metrics["frontier"][-1])
    row = {key: [look[key] for look in looks] for key in FIGURES if key in looks[0]}
    row["true quality"] = [statistics.fmean(quality(prompt, both[n]) for prompt, both in pairs) for n in (0, 1)]
    if terms:
        row["discriminator_accuracy"] = [look["discriminator_accuracy"] for look in looks]
    return row | {"seconds": time.perf_counter() - started}


def report(rows: dict[str, list[dict]]) -> None:
    print(f"\n| policy | {' | '.join(FIGURES)} | rose | varied | seconds |\n|---{'|---' * (len(FIGURES) + 3)}|")
    for name, seeds in rows.items():
        cells = [" → ".join(_told([row[key][n] for row in seeds]) for n in (0, 1)) for key in FIGURES]
        rose = sum(row["guard_reward"][1] > row["guard_reward"][0] for row in seeds)
        varied = sum(row["distinct_2"][1] > 0.8 * row["distinct_2"][0] for row in seeds)
        counts = f"{rose} of {len(seeds)} | {varied} of {len(seeds)}"
        print(f"| {name} | {' | '.join(cells)} | {counts} | {_told([row['seconds'] for row in seeds])} |")


def _told(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
