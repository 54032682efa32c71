"""Run by test_trl.py in an environment that has TRL: opens exported folders and constructs TRL's trainers on them.

    python trl_trainers.py FOLDER_OF_FOLDERS

Each folder is called TRAINER.STYLE, such as DPO.conversational-explicit. One training step is taken, too.
"""

import sys
import tempfile
from pathlib import Path

import trl
from datasets import load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def tokenizer():
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<eos>"]
    plain.train_from_iterator([], trainers.BpeTrainer(initial_alphabet=alphabet, special_tokens=special))
    fast = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = CHAT
    return fast


def trainer_of(name, data, folder):
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=words.pad_token_id, eos_token_id=words.eos_token_id, num_labels=1,
    )  # fmt: skip
    common = {"output_dir": folder, "report_to": [], "use_cpu": True, "bf16": False, "max_steps": 1}
    common |= {"per_device_train_batch_size": 2, "save_strategy": "no"}
    rest = {"train_dataset": data, "processing_class": words}
    if name == "Reward":
        return trl.RewardTrainer(LlamaForSequenceClassification(config), args=trl.RewardConfig(**common), **rest)
    # TRL reads the reference model again from where the model came from.
    LlamaForCausalLM(config).save_pretrained(f"{folder}/model")
    model = LlamaForCausalLM.from_pretrained(f"{folder}/model")
    if name == "DPO":
        return trl.DPOTrainer(model, args=trl.DPOConfig(**common), **rest)
    if name == "KTO":
        return trl.KTOTrainer(model, args=trl.KTOConfig(**common), **rest)
    options = trl.GRPOConfig(num_generations=2, max_completion_length=4, **common)
    return trl.GRPOTrainer(model, reward_funcs=lambda completions, **_: [1.0] * len(completions), args=options, **rest)


def main():
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        data = load_dataset(str(folder), split="train")
        with tempfile.TemporaryDirectory() as output:
            trainer_of(folder.name.split(".")[0], data, output).train()
        print("trained", folder.name, len(data))


if __name__ == "__main__":
    main()
