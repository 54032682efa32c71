"""Policy optimisation beside TRL: the same model, prompts, reward, batch and optimiser, step for step.

    OMP_NUM_THREADS=1 .venv/bin/python bench/policy_vs_trl.py --trl-python PYTHON [--seeds 5] [--json FILE]

TRL needs an environment of its own, since it is no dependency of the app:

    python3 -m venv trl-environment
    trl-environment/bin/pip install -r requirements-trl.txt

The two take turns, seed by seed. Printed are the processor seconds of a step (median without the first) and their ratio
with its range over seeds; then reward and KL of what was saved, measured in the same way for both on prompts of their
own. Seconds of the processor, because other work on the machine would change those of the clock.

Palate's gradient passes take bfloat16 where the processor has it, unless --precision float32; TRL is float32, or with
--trl-bfloat16 samples and learns in bfloat16, its own setting.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SETTINGS = {
    "prompt 48, 4 samples": {"prompt": 48, "prompts": 16, "samples": 4},
    "prompt 160, 8 samples": {"prompt": 160, "prompts": 8, "samples": 8},
}
NEW_TOKENS, BETA, RATE, STEPS, TIMED_STEPS = 64, 0.05, 3e-4, 30, 5


def reward(texts: list[str]) -> list[float]:
    """Ten times the share of vowels: cheap, smooth, and nothing that a model has by chance."""
    return [10 * sum(c in "aeiou" for c in text) / max(1, len(text)) for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default="", help="python with TRL 1.16")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps of the run whose reward is compared")
    parser.add_argument("--precision", choices=("auto", "float32"), default="auto", help="of Palate's gradient passes")
    parser.add_argument("--trl-bfloat16", action="store_true", help="TRL's own setting bf16")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--side", choices=("palate", "trl"), help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        job = json.loads(arguments.job)
        seconds = palate(job) if arguments.side == "palate" else trl(job)
        print(json.dumps(seconds))
        return
    if not Path(arguments.trl_python).is_file():
        parser.error(f"--trl-python {arguments.trl_python}: no such file; see --help for how to make it")
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(Path(folder), arguments)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2))


def compare(folder: Path, arguments: argparse.Namespace) -> dict:
    model = make_model(folder / "model")
    figures = {}
    for name, setting in SETTINGS.items():
        # The first setting is tuned to the end and its result measured; the second is only timed.
        whole = name == next(iter(SETTINGS))
        rows = []
        for seed in range(arguments.seeds):
            row = {}
            for side, python in (("palate", sys.executable), ("trl", arguments.trl_python)):
                job = {"model": str(model), "output": str(folder / f"{side}-{len(figures)}-{seed}"), "seed": seed,
                       "steps": arguments.steps if whole else TIMED_STEPS, "precision": arguments.precision,
                       "trl_bfloat16": arguments.trl_bfloat16, **setting}  # fmt: skip
                row[side] = {"seconds": timed(python, side, job)}
                if whole:
                    row[side] |= measured(str(model), job["output"], setting["prompt"])
            rows.append(row)
            result = ", ".join(f"{side} {row[side]['seconds']:.3f} s" for side in row)
            print(
                f"{name}, seed {seed}: {result}, ratio {row['trl']['seconds'] / row['palate']['seconds']:.2f}",
                flush=True,
            )
        figures[name] = rows
        report(name, rows)
    return figures


def timed(python: str, side: str, job: dict) -> float:
    """The median processor seconds of a step, the first left out."""
    command = [python, __file__, "--side", side, "--job", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-4000:]}")
    return statistics.median(json.loads(done.stdout.strip().splitlines()[-1])[1:])


def report(name: str, rows: list[dict]) -> None:
    ratios = sorted(row["trl"]["seconds"] / row["palate"]["seconds"] for row in rows)
    print(f"{name}: TRL / Palate {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} over seeds)")
    for side in ("palate", "trl"):
        if "reward" in rows[0][side]:
            values = {key: [row[side][key] for row in rows] for key in ("reward", "kl")}
            result = ", ".join(f"{key} {statistics.fmean(v):.3f} ± {_spread(v):.3f}" for key, v in values.items())
            print(f"  {side}: {result}")


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def make_model(folder: Path) -> Path:
    """A Llama of 5.3 million parameters with random weights: it writes all its tokens, so nobody gains by ends."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from training.demo import corpus
    from training.engine.pretraining.training import train_tokenizer

    texts = [" ".join(document) for document in corpus.documents(400)]
    tokenizer = train_tokenizer(texts, 1024, 512)
    torch.manual_seed(0)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
           "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=720, num_hidden_layers=6,
        num_attention_heads=8, max_position_embeddings=512, tie_word_embeddings=True, **ids,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"{model.num_parameters():,} parameters")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def prompts_of(model: str, tokens: int, count: int, seed: int) -> list[str]:
    """Texts that are exactly `tokens` tokens long with the newline that separates them from the response."""
    from transformers import AutoTokenizer

    from training.demo import corpus

    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer(" ".join(" ".join(d) for d in corpus.documents(60 * count, seed)))["input_ids"]
    return [tokenizer.decode(ids[n * tokens : (n + 1) * tokens - 1]) for n in range(count)]


def palate(job: dict) -> list[float]:
    from training.engine.rl.config import PolicyConfig
    from training.engine.rl.finetune import TuningData, rl_finetune
    from training.engine.rl.rewards import RewardConfig
    from training.engine.runtime.progress import SilentReporter

    class Clock(SilentReporter):
        def __init__(self) -> None:
            self.at: list[float] = []

        def progress(self, step: int, total: int) -> None:
            self.at.append(time.process_time())

    clock = Clock()
    prompts = prompts_of(job["model"], job["prompt"], 64, 1)
    # One step more than is compared: the last one's time holds the final look at the held-out prompts.
    rl_finetune(
        policy=job["model"], reward=RewardConfig(function="bench.policy_vs_trl.of_pairs"),
        data=TuningData(prompts, prompts[:1], {}), output=Path(job["output"]), reporter=clock,
        config=PolicyConfig(
            max_steps=job["steps"], prompts_per_step=job["prompts"], num_generations=job["samples"],
            max_completion_length=NEW_TOKENS, learning_rate=RATE, beta=BETA, missing_eos_penalty=0.0, best_of=1,
            eval_steps=10**9, precision=job["precision"], seed=job["seed"],
        ),
    )  # fmt: skip
    return [b - a for a, b in zip(clock.at, clock.at[1:], strict=False)]


def of_pairs(prompts: list[str], responses: list[str]) -> list[float]:
    return reward(responses)


def trl(job: dict) -> list[float]:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.at: list[float] = []

        def on_step_end(self, *_: object, **__: object) -> None:
            self.at.append(time.process_time())

    clock = Clock()
    prompts = [text + "\n" for text in prompts_of(job["model"], job["prompt"], 64, 1)]
    config = RLOOConfig(
        output_dir=job["output"] + "-state", max_steps=job["steps"], seed=job["seed"], use_cpu=True,
        bf16=job["trl_bfloat16"],
        per_device_train_batch_size=job["prompts"] * job["samples"], num_generations=job["samples"],
        steps_per_generation=1, max_completion_length=NEW_TOKENS, learning_rate=RATE, lr_scheduler_type="constant",
        beta=BETA, adam_beta2=0.99, max_grad_norm=1.0, gradient_checkpointing=False, temperature=1.0, top_k=0,
        report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = RLOOTrainer(
        job["model"], reward_funcs=lambda completions, **_: reward(completions), args=config,
        train_dataset=Dataset.from_dict({"prompt": prompts}), callbacks=[clock],
    )  # fmt: skip
    trainer.train()
    trainer.save_model(job["output"])
    trainer.processing_class.save_pretrained(job["output"])
    return [b - a for a, b in zip(clock.at, clock.at[1:], strict=False)]


def measured(base: str, tuned: str, prompt: int) -> dict[str, float]:
    """Reward and KL to the start of a saved policy, on 32 prompts of its own with 8 samples each."""
    from training.engine.generation.decoding import SamplingParams, prompt_seeds
    from training.engine.generation.rows import Group
    from training.engine.generation.sampling import load_policy, sample
    from training.engine.rl.log_probs import LogProbs

    policy, start = load_policy(tuned), load_policy(base)
    prompts = prompts_of(base, prompt, 32, 2)
    inputs = [policy.prompt_ids(text, NEW_TOKENS) for text in prompts]
    _, drawn = sample(policy, inputs, 8, SamplingParams(NEW_TOKENS), seeds=prompt_seeds("measured", len(inputs)))
    groups = [Group(ids, [d.tokens for d in drawn[8 * n : 8 * n + 8]]) for n, ids in enumerate(inputs)]
    logps = LogProbs(start.model, pad_id=start.tokenizer.pad_token_id, temperature=1.0, precision="float32")
    log_reference = logps.table(groups, NEW_TOKENS)
    kl = sum(sum(d.log_probs) for d in drawn) - log_reference.sum().item()
    rewards = reward([policy.text(d.tokens) for d in drawn])
    return {"reward": statistics.fmean(rewards), "kl": kl / len(drawn)}


if __name__ == "__main__":
    main()
