"""Byte-level BPE tokenizers for small models."""

from collections.abc import Iterable, Sequence
from typing import Any


def train_bpe(
    texts: Iterable[str], *, vocab_size: int, special_tokens: Sequence[str], add_prefix_space: bool = False
) -> Any:
    """Return a `tokenizers.Tokenizer` trained on the texts; as it works on bytes, it encodes any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
