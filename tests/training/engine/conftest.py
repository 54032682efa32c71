"""Tiny real models, made once: a causal one pretrained for a few steps, and an encoder with random weights."""

import pytest

import training.engine.experimental  # noqa: F401  # registers its kinds, whichever test file runs alone
from core.records import Record
from training.demo import corpus
from training.engine.data.documents import Document

GOOD, BAD = "We will refund you today.", "That is not our problem."


def documents(pairs):
    return [Document(prompt, (response,)) for prompt, response in pairs]


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory):
    from training.engine.pretraining.training import PretrainConfig, pretrain

    folder = tmp_path_factory.mktemp("policy")
    config = PretrainConfig(vocab_size=400, width=64, layers=2, heads=2, max_steps=60, batch_size=16)
    pretrain(documents(corpus.documents(400)), output=folder, config=config)
    return folder


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({w for text in (GOOD, BAD, "What can I do?") for w in text.lower().replace(".", " .").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *(str(n) for n in range(10))]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    torch.manual_seed(0)  # the same weights whatever ran before
    BertModel(config).save_pretrained(folder)
    return folder


def records(count, first=0):
    """Judgements in which the promise of a refund beats rudeness, each prompt with texts of its own."""
    return [
        Record(
            prompt_id=str(n),
            group=str(n),
            prompt=f"{n} What can I do?",
            response_ids=(f"{n}-a", f"{n}-b"),
            responses=(f"{GOOD} {n % 10}", f"{BAD} {n % 7}") if n % 2 else (f"{BAD} {n % 7}", f"{GOOD} {n % 10}"),
            ranks=(1, 2) if n % 2 else (2, 1),
            rater=f"r{n % 3}",
        )
        for n in range(first, first + count)
    ]
