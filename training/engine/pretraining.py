"""Pretraining of a small causal language model, from nothing or onward from a base model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from training.engine.formatting import policy_prompt
from training.engine.progress import Reporter, SilentReporter, advance

END, PADDING = "<|end|>", "<|padding|>"


@dataclass(frozen=True)
class PretrainConfig:
    """The defaults give a model of 1.4 million parameters that learns the demo's corpus in about a minute."""

    vocab_size: int = 1024
    width: int = 160
    layers: int = 4
    heads: int = 4
    context: int = 128
    steps: int = 200
    batch_size: int = 24
    learning_rate: float = 3e-3
    held_out_share: float = 0.02
    seed: int = 0
    base: str | None = None


def pretrain(
    texts: Sequence[tuple[str, str]],
    *,
    output: Path,
    config: PretrainConfig,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train on (prompt, response) documents and save model and tokenizer to `output`.

    Returns {"perplexity", "perplexity_before", "parameters", "tokens"}; perplexity is per token on held-out
    documents.
    """
    reporter = reporter or SilentReporter()
    torch.manual_seed(config.seed)
    model, tokenizer = _base(config.base) if config.base else _from_nothing(texts, config)
    train, held_out = _packed(texts, tokenizer, config)
    before = _perplexity(model, held_out, config.batch_size)
    parameters = sum(p.numel() for p in model.parameters())
    reporter.log(f"{parameters:,} parameters, {train.numel():,} tokens, held-out perplexity {before:.1f}")
    _train(model, train, config, reporter)
    after = _perplexity(model, held_out, config.batch_size)
    reporter.log(f"held-out perplexity {after:.2f}")
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return {
        "perplexity": after,
        "perplexity_before": before,
        "parameters": parameters,
        "tokens": train.numel(),
    }


def train_tokenizer(texts: Sequence[str], vocab_size: int, context: int) -> Any:
    """A byte-level BPE tokenizer: every text can be written, and read back unchanged."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=PADDING, model_max_length=context
    )


def _from_nothing(texts: Sequence[tuple[str, str]], config: PretrainConfig) -> tuple[Any, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer([f"{p}\n{r}" for p, r in texts], config.vocab_size, config.context)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=config.width * 8 // 3,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return model, tokenizer


def _base(path: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32), AutoTokenizer.from_pretrained(path)


def _packed(texts: Sequence[tuple[str, str]], tokenizer: Any, config: PretrainConfig) -> tuple[Tensor, Tensor]:
    """All documents end to end, cut into rows (rows, context): the training rows and the held-out ones."""
    documents = [policy_prompt(tokenizer, prompt) + response for prompt, response in texts]
    ids = tokenizer(documents, add_special_tokens=False)["input_ids"]
    stream = torch.tensor([token for document in ids for token in [*document, tokenizer.eos_token_id]])
    rows = len(stream) // config.context
    if rows < 2:
        raise ValueError(f"the corpus has {len(stream)} tokens; at least {2 * config.context} are needed")
    table = stream[: rows * config.context].view(rows, config.context)
    held_out = max(1, min(rows // 2, round(rows * config.held_out_share)))
    return table[:-held_out], table[-held_out:]


def _train(model: Any, rows: Tensor, config: PretrainConfig, reporter: Reporter) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, config.steps))
    generator = torch.Generator().manual_seed(config.seed)
    model.train()
    for step in range(config.steps):
        batch = rows[torch.randint(len(rows), (config.batch_size,), generator=generator)]  # (B, T)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0 or step == config.steps - 1:
            reporter.metric(step, loss=loss.item())
        advance(reporter, step + 1, config.steps)
    model.eval()


def warmup_cosine(step: int, total: int, warmup_share: float = 0.05, floor: float = 0.05) -> float:
    """The factor on the learning rate: linear warm-up, then half a cosine down to `floor`."""
    warmup = max(1, round(total * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    place = (step - warmup) / max(1, total - warmup)
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(1.0, place))) / 2


@torch.no_grad()
def _perplexity(model: Any, rows: Tensor, batch_size: int) -> float:
    model.eval()
    losses = [model(input_ids=batch, labels=batch).loss * len(batch) for batch in rows.split(batch_size)]
    return math.exp(torch.stack(losses).sum().item() / len(rows))
