"""The model that training starts from: a pretrained model with a new head, or a small model from scratch."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from training.engine.data.formatting import text_ids
from training.engine.data.observations import Item
from training.engine.models import small_models
from training.engine.models.bpe import train_bpe
from training.engine.models.encoder import Encoder, device
from training.engine.models.loading import with_fresh_head

KINDS = ("auto", "encoder", "causal", *small_models.KINDS)
SEPARATOR, PADDING = "<|sep|>", "<|padding|>"


def pretrained(
    base: str,
    *,
    outputs: int,
    kind: str,
    max_length: int,
    layers: int,
    lora_r: int,
    gradient_checkpointing: bool,
    load_in_4bit: bool = False,
    on_device: bool = False,
) -> Encoder:
    """A pretrained model with a fresh head, its first `layers` layers or with 0 all. `checkpointing` computes
    activations twice to keep fewer of them. `load_in_4bit`: the layers that adapters are put on are quantised.
    `placed`: the model stays in the processor's memory, for others to shard.

    Raises ValueError when the base is of another kind.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    config = AutoConfig.from_pretrained(base)
    if type(config) not in AutoModelForSequenceClassification._model_mapping:
        raise ValueError(f"{base}: a model of type {config.model_type} has no form that gives a text a number")
    depth = {"num_hidden_layers": layers} if layers else {}
    if layers > config.num_hidden_layers:
        raise ValueError(f"{base} has {config.num_hidden_layers} layers, not {layers}")
    options = {
        "num_labels": outputs,
        "dtype": torch.float32,
        **depth,
        **(_load_in_4bit_options(config) if load_in_4bit else {}),
    }
    model = with_fresh_head(AutoModelForSequenceClassification, base, cut=bool(layers), **options)
    for module in model.modules():
        # On processors bitsandbytes lays weights out anew at the first pass in evaluation, and from then on its layers
        # pass no gradient on to the adapters below them.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{base}: the tokenizer has neither a padding nor an end token")
    model.config.pad_token_id = tokenizer.pad_token_id
    encoder = Encoder(
        model, tokenizer, min(max_length, _context(model.config, max_length)), on_device=on_device or load_in_4bit
    )
    if kind not in ("auto", "causal" if encoder.causal else "encoder"):
        raise ValueError(f"{base} is {'a causal model' if encoder.causal else 'an encoder'}, not of kind {kind}")
    if lora_r:
        encoder.model = _with_adapters(model, lora_r)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return encoder


def probe(base: str, *, outputs: int, max_length: int) -> Encoder:
    """Return a linear regression on the states of a frozen encoder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    backbone = AutoConfig.from_pretrained(base)
    config = small_models.ProbeConfig(
        base=backbone.to_dict(), pad_token_id=tokenizer.pad_token_id, vocab_size=backbone.vocab_size
    )
    config.num_labels = outputs
    model = small_models.ProbePreference(config)
    model.encoder.load_state_dict(with_fresh_head(AutoModel, base, dtype=torch.float32).state_dict())
    return Encoder(model, tokenizer, min(max_length, _context(backbone, max_length)))


def small(kind: str, items: Sequence[Item], *, outputs: int, max_length: int, vocab_size: int = 4000) -> Encoder:
    """A linear, convolutional or recurrent model with a tokenizer learned from the items, whatever their language."""
    tokenizer = _tokenizer([text for item in items for text in item], vocab_size, max_length)
    config_class, model_class = small_models.CLASSES[kind]
    config = config_class(
        vocab_size=len(tokenizer),
        separator_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config.num_labels = outputs
    encoder = Encoder(model_class(config), tokenizer, max_length)
    if kind == "linear":
        encoder.model.idf.copy_(_rarity(encoder, items))
    return encoder


def _rarity(encoder: Encoder, items: Sequence[Item]) -> torch.Tensor:
    """log((1 + n) / (1 + texts with the token)) + 1 for each token of the vocabulary."""
    rows = text_ids(encoder.tokenizer, [response for _, response in items])["input_ids"]
    seen = Counter(token for row in rows for token in set(row))
    counts = torch.tensor([seen.get(token, 0) for token in range(encoder.model.config.vocab_size)])
    return torch.log((1 + len(rows)) / (1.0 + counts)) + 1


def _tokenizer(texts: Sequence[str], vocab_size: int, max_length: int) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = train_bpe(texts, vocab_size=vocab_size, special_tokens=[PADDING, SEPARATOR], add_prefix_space=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {SEPARATOR}",
        pair=f"$A {SEPARATOR} $B:0",
        special_tokens=[(SEPARATOR, tokenizer.token_to_id(SEPARATOR))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, sep_token=SEPARATOR, pad_token=PADDING, model_max_length=max_length
    )


def _context(config: Any, otherwise: int) -> int:
    """The longest row a model takes; RoBERTa-like models count positions from behind the padding's number."""
    longest = getattr(config, "max_position_embeddings", None) or otherwise
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        longest -= (config.pad_token_id or 0) + 1
    return longest


def _load_in_4bit_options(config: Any) -> dict[str, Any]:
    """How to load the body of a model in normal floats of 4 bits with quantised scales (Dettmers et al. 2023, sec. 3),
    on this device, and its fresh head as it is."""
    from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

    with torch.device("meta"):
        empty = AutoModelForSequenceClassification.from_config(config)
    heads = [name for name, _ in empty.named_children() if name != empty.base_model_prefix]
    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=heads,
    )
    return {"quantization_config": quantised, "device_map": {"": device()}}


def _with_adapters(model: Any, rank: int) -> Any:
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear"
    )
    return get_peft_model(model, config)
