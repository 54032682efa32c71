"""Pretraining of a small causal language model, from nothing or onward from a base model."""

import copy
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from training.engine.data.documents import Document
from training.engine.data.packing import Packer, batches, segments_of, stacked
from training.engine.data.scripts import script_of
from training.engine.models.bpe import train_bpe
from training.engine.pretraining import objectives
from training.engine.pretraining.objectives import OBJECTIVES
from training.engine.runtime.numerics import NonFiniteError, check_finite, check_weights
from training.engine.runtime.onednn import with_onednn
from training.engine.runtime.progress import Reporter, SilentReporter, advance
from training.engine.runtime.schedules import warmup_cosine

END, PADDING, GOOD, BAD = "<|end|>", "<|padding|>", "<|good|>", "<|bad|>"
TOKENIZER_DOCUMENTS = 50_000  # enough to learn merges from; a larger corpus is not read twice for it
SCRIPT_DOCUMENTS = 500  # which tell the script


@dataclass(frozen=True)
class PretrainConfig:
    """The defaults give a model of 1.4 million parameters that learns the demo's corpus in about a minute.

    threshold: the share of the segments that count as bad (of the documents that `filter` drops). beta: of rwr and awr,
    in standard deviations of the scores. decay: λ of joint. dropped: how often `conditional` leaves a mark out.
    vocab_size 0 takes vocabulary_for the corpus. policy_kind "vae" makes a model with a latent
    (training.engine.experimental.latent_pretraining), by maximum likelihood only. latent_size,
    free_bits, word_dropout: of a vae; free_bits is λ, nats per dimension, of Kingma et al. 2016.
    """

    objective: str = "mle"
    policy_kind: str = "plain"
    vocab_size: int = 0
    width: int = 160
    layers: int = 4
    heads: int = 4
    context: int = 128
    max_steps: int = 200
    batch_size: int = 24
    learning_rate: float = 3e-3
    held_out_share: float = 0.02
    threshold: float = 0.5
    alpha: float = 1.0
    beta: float = 1.0
    value_weight: float = 0.5
    decay: float = 1e-6
    dropped: float = 0.01
    latent_size: int = 16
    free_bits: float = 0.25
    word_dropout: float = 0.3
    sample_every: int = 50
    seed: int = 0
    base: str | None = None


def pretrain(
    corpus: Iterable[Document],
    *,
    output: Path,
    config: PretrainConfig,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train on the documents, which may be read several times, and save model and tokenizer to `output`.

    Returns {"perplexity", "perplexity_before", "parameters", "tokens"}, of a vae its own figures too; perplexity is per
    token on held-out documents, marks not counted. Every objective but mle needs scores.
    """
    reporter = reporter or SilentReporter()
    if config.objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not {config.objective!r}")
    if config.policy_kind not in POLICY_KINDS:
        raise ValueError(f"policy_kind must be one of {', '.join(POLICY_KINDS)}, not {config.policy_kind!r}")
    kind = POLICY_KINDS[config.policy_kind]
    if config.objective not in kind.objectives:
        expected = " or ".join(kind.objectives)
        raise ValueError(f"policy_kind {config.policy_kind} needs objective {expected}, not {config.objective}")
    torch.manual_seed(config.seed)
    training = kind(corpus, config, reporter)
    before = training.perplexity()
    reporter.log(f"{training.parameters:,} parameters, held-out perplexity {before:.1f}")
    training.run()
    after = training.perplexity()
    reporter.log(f"held-out perplexity {after:.2f}")
    if truncation_note := training.truncation():
        reporter.log(truncation_note)
    training.save(output)
    return {
        "perplexity": after,
        "perplexity_before": before,
        "parameters": training.parameters,
        "tokens": training.tokens,
        "objective": config.objective,
        "truncation": [truncation_note] if truncation_note else [],
        **training.figures(),
    }


class Training:
    """One pretraining. A subclass in POLICY_KINDS may differ in what a row, the loss and the perplexity are."""

    objectives: tuple[str, ...] = OBJECTIVES
    stacked: Callable[..., Any] = staticmethod(stacked)

    def __init__(self, corpus: Iterable[Document], config: PretrainConfig, reporter: Reporter) -> None:
        self.corpus, self.config, self.reporter = corpus, config, reporter
        self.standard, self.threshold, self.document_threshold = _scale(corpus, config)
        model, self.tokenizer = _base(config.base) if config.base else _from_nothing(corpus, config)
        self.model = with_onednn(model)
        # Rows to learn from are marked segment by segment; the tokenizer that is saved marks what it is asked to write.
        self.plain = copy.deepcopy(self.tokenizer)
        if config.objective == "conditional":
            _add_marks(self.model, self.tokenizer, self.plain)
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.head = nn.Linear(self.model.config.hidden_size, 1)  # of joint: the preference; of awr: the value
        self.generator = torch.Generator().manual_seed(config.seed)
        self.every = max(2, round(1 / config.held_out_share))
        self.done = 0.0  # the share of the steps that lies behind
        self.tokens = 0  # read so far
        self.held_out: list[Any] = self._held_out()

    def run(self) -> None:
        config = self.config
        parameters = [*self.model.parameters(), *self.head.parameters()]
        # joint has its own λ; AdamW's decay on top of it would count the norm twice.
        decay = 0.0 if config.objective == "joint" else 0.1
        optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=decay)
        schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, config.max_steps))
        stream: Iterator[Any] = batches(self.rows, config.batch_size, config.seed, stack=self.stacked)
        self.model.train()
        for step in range(config.max_steps):
            self.done = step / config.max_steps
            batch = next(stream)
            self.tokens += batch.ids.numel()
            loss = self.loss(batch)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            try:
                check_finite("the loss", [loss.item()])
                check_finite("the gradient", [norm.item()])
            except NonFiniteError as error:
                raise ValueError(f"step {step + 1}: {error}; try a smaller learning rate") from error
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            if step % 10 == 0 or step == config.max_steps - 1:
                self.reporter.metric(step, loss=loss.item())
            if (step + 1) % config.sample_every == 0:
                self._tell(step + 1)
            advance(self.reporter, step + 1, config.max_steps)
        self.model.eval()

    def loss(self, batch: Any) -> Tensor:
        config = self.config
        wants_states = config.objective in ("awr", "joint")
        out = self.model(input_ids=batch.ids, use_cache=False, output_hidden_states=wants_states)
        losses = objectives.token_losses(out.logits, batch.ids)
        scores = (batch.scores[:, 1:] - self.standard[0]) / self.standard[1]
        if config.objective == "unlikelihood":
            return objectives.unlikelihood(losses, batch.scores[:, 1:] >= self.threshold, config.alpha)
        if config.objective == "rwr":
            return objectives.reward_weighted(losses, scores, config.beta)
        if not wants_states:
            return losses.mean()
        read = self.head(out.hidden_states[-1]).squeeze(-1)
        if config.objective == "awr":
            return objectives.advantage_weighted(losses, scores, read[:, :-1], config.beta, config.value_weight)
        ends = batch.ends.bool()
        target = (batch.document_scores[ends] - self.standard[0]) / self.standard[1]
        norms = sum((p**2).sum() for p in self.model.parameters()) + (self.head.weight**2).sum()
        return objectives.joint(losses, read[ends], target, norms, config.decay)

    @torch.no_grad()
    def perplexity(self) -> float:
        self.model.eval()
        good = self.tokenizer.convert_tokens_to_ids(GOOD)  # None without marks
        losses = []
        for part in self.held_out:
            of_part = objectives.token_losses(self.model(input_ids=part.ids, use_cache=False).logits, part.ids)
            losses.append(of_part[part.ids[:, 1:] != (-1 if good is None else good)])
        return math.exp(torch.cat(losses).mean().item())

    def save(self, output: Path) -> None:
        check_weights(self.model.named_parameters())
        self.model.save_pretrained(output)
        self.tokenizer.save_pretrained(output)
        if self.config.objective == "joint":
            _save_preference(output, self.head, self.standard, self.config.context)

    def figures(self) -> dict[str, float]:
        """What the result says beside perplexity."""
        return {}

    def truncation(self) -> str:
        """What of the documents was cut, in words; "" where they run on from row to row."""
        return ""

    def rows(self) -> Iterator[Any]:
        mark = self._mark if self.config.objective == "conditional" else None
        packer = Packer(self.plain, self.config.context, mark)
        return packer.rows(self._kept(self.split(held_out=False)))

    def _kept(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            if self.config.objective != "filter" or document.score >= self.document_threshold:
                yield document

    def _mark(self, score: float) -> str:
        if torch.rand((), generator=self.generator).item() < self.config.dropped:
            return ""
        return GOOD if score >= self.threshold else BAD

    def _good(self, _score: float) -> str:
        return GOOD

    def split(self, *, held_out: bool) -> Iterator[Document]:
        """Every n-th document is held out, so that the same ones are at each reading."""
        for n, document in enumerate(self.corpus):
            if (n % self.every == self.every - 1) == held_out:
                yield document

    def _held_out(self) -> list[Any]:
        """Held-out documents in at most 4096 rows, the same tokens for all objectives; a model that was pretrained with
        marks reads the good one before each segment, as when it is sampled from.

        Of a small corpus a larger share is held out, up to half of it, until one row is full.
        """
        packer = Packer(self.plain, self.config.context, self._good if self.config.objective == "conditional" else None)
        while True:
            rows = list(itertools.islice(packer.rows(self.split(held_out=True)), 4096))
            if rows:
                size = self.config.batch_size
                return [stacked(rows[n : n + size]) for n in range(0, len(rows), size)]
            if self.every == 2:
                raise ValueError(
                    f"the corpus is too small: half of it does not fill one row of {self.config.context} tokens"
                )
            self.every = max(2, self.every // 2)

    def _tell(self, step: int) -> None:
        """A sample of the model as it is now."""
        from training.engine.generation.sampling import Policy, generate

        self.model.eval()
        prompt = next(self.split(held_out=True)).prompt
        policy = Policy(self.model, self.tokenizer)
        tokens = min(64, self.config.context // 2)
        text = generate(policy, [prompt], max_completion_length=tokens, seed=self.config.seed)[0][0].text
        self.reporter.sample(step, prompt, text, None)
        self.model.train()


# What pretraining makes by name; training.engine.experimental adds its own.
POLICY_KINDS: dict[str, type[Training]] = {"plain": Training}


def scored(documents: Iterable[Document], score: Any, batch: int = 4096) -> list[Document]:
    """The documents with a score for each segment. score: (prompt, text) items -> rewards, as PreferenceModel.score."""
    judged: list[Document] = []
    pending: list[Document] = []

    def judge() -> None:
        cut = [segments_of(document.text) or ("",) for document in pending]
        items = [(d.prompt, s) for d, of_document in zip(pending, cut, strict=True) for s in of_document]
        rewards = iter(score(items))
        judged.extend(
            Document(d.prompt, of_document, tuple(next(rewards) for _ in of_document))
            for d, of_document in zip(pending, cut, strict=True)
        )
        pending.clear()

    for document in documents:
        pending.append(document)
        if len(pending) == batch:
            judge()
    judge()
    return judged


def vocabulary_for(texts: Iterable[str]) -> int:
    """How many tokens a tokenizer of a small model should have: of scripts with thousands of characters, which take
    three bytes each, the common ones should be tokens of their own."""
    scripts = Counter(script_of(text) for text in texts)
    many = scripts["Han"] + scripts["Kana (Japanese)"] + scripts["Hangul"]
    return 4096 if many > scripts.total() / 2 else 1024


def train_tokenizer(texts: Iterable[str], vocab_size: int, context: int) -> Any:
    """Return a byte-level BPE tokenizer that encodes and decodes every text without loss."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = train_bpe(texts, vocab_size=vocab_size, special_tokens=[END, PADDING])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=PADDING, model_max_length=context
    )


def _scale(corpus: Iterable[Document], config: PretrainConfig) -> tuple[tuple[float, float], float, float]:
    """Mean and spread of the segments' scores, and the thresholds of segments and documents. Raises ValueError when an
    objective that needs scores finds none, or finds them all alike."""
    if config.objective == "mle":
        return (0.0, 1.0), 0.0, 0.0
    segments = [score for document in corpus for score in document.scores]
    if len(set(segments)) < 2:
        raise ValueError(f"objective {config.objective} needs scores that differ; give a preference model to score by")
    documents = sorted(document.score for document in corpus)
    cut = [
        values[min(len(values) - 1, int(len(values) * config.threshold))] for values in (sorted(segments), documents)
    ]
    return (statistics.fmean(segments), statistics.pstdev(segments)), cut[0], cut[1]


def _from_nothing(corpus: Iterable[Document], config: PretrainConfig) -> tuple[Any, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    def texts() -> Iterator[str]:
        return (f"{d.prompt}\n{d.text}" for d in itertools.islice(corpus, TOKENIZER_DOCUMENTS))

    size = config.vocab_size or vocabulary_for(itertools.islice(texts(), SCRIPT_DOCUMENTS))
    tokenizer = train_tokenizer(texts(), size, config.context)
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


def _add_marks(model: Any, tokenizer: Any, plain: Any) -> None:
    """The two control tokens. Written into the tokenizer's template, the good one starts every response; the bad one
    is banned in the generation settings: whoever opens the folder samples good text without knowing of marks."""
    for one in (tokenizer, plain):
        one.add_special_tokens({"additional_special_tokens": [GOOD, BAD]})
    model.resize_token_embeddings(len(tokenizer))
    start = "{% for m in messages %}{{ m['content'] }}{% if m['content'] %}\n{% endif %}{% endfor %}"
    tokenizer.chat_template = (
        (tokenizer.chat_template or start) + "{% if add_generation_prompt %}" + GOOD + "{% endif %}"
    )
    model.generation_config.bad_words_ids = [[tokenizer.convert_tokens_to_ids(BAD)]]


@torch.no_grad()
def _save_preference(output: Path, head: nn.Linear, standard: tuple[float, float], context: int) -> None:
    """The backbone with the preference head as a preference model in `output`/preference."""
    from training.engine.models import base_models  # these import this module
    from training.engine.models.reward import PreferenceModel, Settings

    encoder = base_models.pretrained(
        str(output), outputs=1, kind="causal", max_length=context, layers=0, lora_r=0, gradient_checkpointing=False
    )
    _, spread = standard
    encoder.model.score.weight.copy_(head.weight * spread)
    settings = Settings(context, temperature=spread, centre=float(-spread * head.bias.item()))
    PreferenceModel([encoder], settings).save(output / "preference")
