"""The peer of preference_vs_trl.py and arguments.py: TRL's RewardTrainer, run by the python of an environment that has
TRL 1.16. Reads a job (JSON) from standard input; prints {"seconds": …, "steps": [when each ended]}, of the processor,
as the last line and saves the model."""

import json
import sys
import time

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl import RewardConfig, RewardTrainer


class Clock(TrainerCallback):
    """Saves the model every so many steps, and leaves the time that takes out of the account."""

    def __init__(self, every, output):
        self.every, self.output, self.away, self.marks, self.steps = every, output, 0.0, [], []

    def on_train_begin(self, *args, **kwargs):
        self.started = time.process_time()

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.steps.append(time.process_time())
        if self.every and state.global_step % self.every == 0:
            left = time.process_time()
            folder = f"{self.output}/step-{state.global_step}"
            model.save_pretrained(folder)
            self.marks.append({"folder": folder, "seconds": left - self.started - self.away})
            self.away += time.process_time() - left


def main():
    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.sep_token  # an encoder: TRL wants an end to every text
    model = AutoModelForSequenceClassification.from_pretrained(job["base"], num_labels=1, dtype=torch.float32)
    model.config.pad_token_id = tokenizer.pad_token_id
    clock = Clock(job.get("save_every", 0), job["output"])
    trainer = RewardTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(job["pairs"]),
        callbacks=[clock],
        args=RewardConfig(
            output_dir=job["output"],
            per_device_train_batch_size=job["batch"],
            num_train_epochs=job["epochs"],
            max_steps=job.get("max_steps", -1),
            learning_rate=job["learning_rate"],
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            max_length=job["max_length"],
            bf16=job["bfloat16"],
            use_cpu=True,
            gradient_checkpointing=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=job["seed"],
        ),
    )
    started = time.process_time()
    trainer.train()
    seconds = time.process_time() - started - clock.away
    trainer.model.save_pretrained(job["output"])
    tokenizer.save_pretrained(job["output"])
    print(json.dumps({"seconds": seconds, "marks": clock.marks, "steps": clock.steps}))


main()
