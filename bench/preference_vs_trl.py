"""How much faster does the same preference model learn from the same judgements than with TRL's RewardTrainer?

Both start from the same Llama-shaped model of 5.3 million random parameters and see every judgement once, with as many
prompts in a step: Palate reads each prompt and response once a step, TRL each of a ranking's pairs. For each setting
prints the median seconds of a step of both, their ratio, the seconds of each whole run (Palate's loads, validates,
calibrates and saves as well), the accuracy on held-out prompts, and its difference seed by seed. Seconds are the
processor's, on one thread: other work on the machine then counts for little.

    python bench/preference_vs_trl.py --trl-python TRL_ENVIRONMENT/bin/python --seeds 5

TRL_ENVIRONMENT has the packages of requirements-trl.txt.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import combinations, pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training.engine.runtime.progress import SilentReporter

PROMPT_WORDS, RESPONSE_WORDS, LEARNING_RATE = 150, 60, 1e-3
VALIDATION, TEST = 8, 200  # prompts with two responses each
# name: responses K, raters, prompts, pairs of a step
SETTINGS = {"K=2": (2, 1, 384, 24), "K=4": (4, 1, 64, 24), "K=9": (9, 1, 40, 36), "K=4, three raters": (4, 3, 32, 36)}


def words(rng, count):
    """Words of a vocabulary of 3,000 with frequencies like those of a language."""
    return [f"w{int(3000 * rng.random() ** 2.5)}" for _ in range(count)]


def response(rng):
    """A response and its quality: how many good words it has beyond the bad ones."""
    quality = rng.gauss(0, 1)
    text = words(rng, RESPONSE_WORDS + rng.randint(-15, 15))
    for _ in range(round(abs(quality) * 4)):
        text[rng.randrange(len(text))] = f"{'good' if quality > 0 else 'bad'}{rng.randrange(5)}"
    return " ".join(text), quality


def judgements(rng, prompts, k, raters, *, noise):
    from core.records import Record

    records = []
    for n in range(prompts):
        prompt = " ".join(words(rng, PROMPT_WORDS + rng.randint(-30, 30)))
        texts, qualities = zip(*(response(rng) for _ in range(k)), strict=True)
        for rater in range(raters):
            seen = [q + rng.gauss(0, noise) for q in qualities]
            ranks = tuple(1 + sum(other > own for other in seen) for own in seen)
            ids = tuple(f"{n}-{i}" for i in range(k))
            records.append(Record(str(n), str(n), prompt, ids, texts, ranks, f"r{rater}"))
    return records


def base_model(folder):
    """5.3 million random parameters and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    known = [f"w{n}" for n in range(3000)] + [f"{kind}{n}" for kind in ("good", "bad") for n in range(5)]
    vocabulary = {word: n for n, word in enumerate(["<pad>", "<end>", "<unk>", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", bos_token="<end>", unk_token="<unk>"
    )
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=256, intermediate_size=688, num_hidden_layers=5,
            num_attention_heads=4, max_position_embeddings=1024, tie_word_embeddings=True,
            pad_token_id=0, bos_token_id=1, eos_token_id=1,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(p.numel() for p in model.parameters())


def by_palate(base, output, train, validation, *, tokens, seed, bfloat16):
    from training.engine.preference.training import PreferenceConfig, train_preference

    config = PreferenceConfig(
        num_epochs=1, min_steps=1, learning_rate=LEARNING_RATE, tokens_per_step=tokens, max_length=512, seed=seed,
        precision="bfloat16" if bfloat16 else "float32",
    )  # fmt: skip
    clock, started = Clock(), time.process_time()
    train_preference(train, validation, base_model=str(base), output=output, config=config, reporter=clock)
    return a_step(clock.steps), time.process_time() - started


class Clock(SilentReporter):
    """When each step ended."""

    def __init__(self):
        self.steps = []

    def progress(self, step, total):
        self.steps.append(time.process_time())


def a_step(ends):
    """Median seconds from the end of one step to that of the next."""
    return statistics.median(after - before for before, after in pairwise(ends))


def by_trl(python, base, output, train, *, batch, seed, bfloat16, threads):
    pairs = []
    for record in train:
        for i, j in combinations(range(len(record.responses)), 2):
            if record.ranks[i] != record.ranks[j]:
                won, lost = (i, j) if record.ranks[i] < record.ranks[j] else (j, i)
                pairs.append(
                    {"prompt": record.prompt + " ", "chosen": record.responses[won], "rejected": record.responses[lost]}
                )
    random.Random(seed).shuffle(pairs)
    job = {
        "base": str(base), "output": str(output), "pairs": pairs, "batch": batch, "epochs": 1, "seed": seed,
        "learning_rate": LEARNING_RATE, "max_length": 512, "bfloat16": bfloat16, "threads": threads,
    }  # fmt: skip
    done = run_trl(python, job)
    return a_step(done["steps"]), done["seconds"]


def run_trl(python, job):
    script = Path(__file__).with_name("trl_reward.py")
    done = subprocess.run([python, str(script)], input=json.dumps(job), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def accuracy(folder, records):
    """Held-out pairs ordered as their ranks are, read apart by transformers' own class."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from training.engine.models.encoder import Encoder

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    encoder = Encoder(model, AutoTokenizer.from_pretrained(folder), 512)
    items = [(record.prompt, text) for record in records for text in record.responses]
    with torch.no_grad():
        rewards = dict(zip(items, encoder.outputs(items).flatten().tolist(), strict=True))
    hits = [
        (rewards[r.prompt, r.responses[i]] > rewards[r.prompt, r.responses[j]]) == (r.ranks[i] < r.ranks[j])
        for r in records
        for i, j in combinations(range(len(r.responses)), 2)
    ]
    return sum(hits) / len(hits)


def differences(own, peer):
    """The mean difference of two lists of figures, seed by seed, with the 95 % interval of its mean over seeds."""
    import numpy as np
    from scipy.stats import t

    by_seed = np.subtract(own, peer)
    if len(by_seed) == 1:
        return f"{by_seed[0]:+.3f}"
    reach = t.ppf(0.975, len(by_seed) - 1) * by_seed.std(ddof=1) / len(by_seed) ** 0.5
    return f"{by_seed.mean():+.3f} [{by_seed.mean() - reach:+.3f}, {by_seed.mean() + reach:+.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", required=True, help="the python of an environment with TRL 1.16")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--precision", choices=["float32", "bfloat16", "both"], default="both")
    args = parser.parse_args()
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    precisions = {"both": (False, True)}.get(args.precision, (args.precision == "bfloat16",))
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as folder:
        base = Path(folder) / "base"
        torch.manual_seed(0)
        print(f"{base_model(base):,} parameters, {torch.get_num_threads()} threads")
        for name in args.settings:
            k, raters, prompts, batch = SETTINGS[name]
            per_step = batch / raters / (k * (k - 1) / 2)
            # Where a step is one ranking, the longest must fit, or it would be divided and lose pairs.
            tokens = round(per_step * k * (PROMPT_WORDS + RESPONSE_WORDS) * (1.4 if per_step == 1 else 1))
            found = []
            for seed in range(args.seeds):
                rng = random.Random(seed)
                train = judgements(rng, prompts, k, raters, noise=0.5)
                validation, test = (judgements(rng, n, 2, 1, noise=0.0) for n in (VALIDATION, TEST))
                for half in precisions:
                    mine, theirs = Path(folder) / f"palate-{name}-{seed}", Path(folder) / f"trl-{name}-{seed}"
                    own = by_palate(base, mine, train, validation, tokens=tokens, seed=seed, bfloat16=half)
                    peer = by_trl(
                        args.trl_python, base, theirs, train,
                        batch=batch, seed=seed, bfloat16=half, threads=torch.get_num_threads(),
                    )  # fmt: skip
                    found.append((half, *own, *peer, accuracy(mine, test), accuracy(theirs, test)))
                    print(name, seed, "bf16" if half else "f32", *(f"{x:.3f}" for x in found[-1][1:]), flush=True)
            for half in precisions:
                rows = [row for row in found if row[0] == half]
                ratio, whole = (statistics.median(row[n + 2] / row[n] for row in rows) for n in (1, 2))
                steps = [statistics.median(row[n] for row in rows) for n in (1, 3)]
                own, peer = ([row[n] for row in rows] for n in (5, 6))
                print(
                    f"{name} ({'bfloat16' if half else 'float32'}): steps of {steps[0]:.2f} s, {steps[1]:.2f} s, one "
                    f"of TRL takes {ratio:.1f} times as long, the whole run {whole:.1f}; held-out accuracy "
                    f"{statistics.mean(own):.3f}, TRL {statistics.mean(peer):.3f}, difference {differences(own, peer)} "
                    f"({len(rows)} seeds)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
