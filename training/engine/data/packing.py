"""Documents for pretraining, and their tokens end to end in rows of equal length, each with its segment's score."""

import bisect
import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from training.engine.data.documents import UNSCORED, Document
from training.engine.data.formatting import document_ids, leading_ids, names_special, policy_prompt, start_ids

# Chinese and Japanese put no space behind a sentence; a closing quote or bracket still belongs to it.
SEGMENT = re.compile(
    r"(?<=\n)|(?<=[.!?]\s)(?=\S)|(?<=[。！？])(?![。！？”’」』）\s])|(?<=[。！？][”’」』）])(?![。！？”’」』）\s])"
)


def segments_of(text: str) -> tuple[str, ...]:
    """The text cut behind line breaks and ends of sentences; joined they are the text again."""
    return tuple(part for part in SEGMENT.split(text) if part)


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of T tokens. ends: 1 at the end token of each whole document, where a preference head reads."""

    ids: Tensor  # (B, T)
    scores: Tensor  # (B, T): of the segment that a token belongs to
    ends: Tensor  # (B, T)
    document_scores: Tensor  # (B, T): of the document, at its end token


R = TypeVar("R")
B = TypeVar("B")
Row = tuple[list[int], list[float], list[float], list[float]]


class Packer:
    """Turns documents into rows. mark: what to write before a segment, given its score (control tokens)."""

    def __init__(self, tokenizer: Any, context: int, mark: Callable[[float], str] | None = None) -> None:
        self.tokenizer, self.context, self.mark = tokenizer, context, mark

    def rows(self, documents: Iterable[Document]) -> Iterator[Row]:
        """Full rows; documents run on from one row into the next, the last tokens that fill no row are left out."""
        columns: list[list[Any]] = [[], [], [], []]
        before = None  # the last token of the document before
        for part in _parts(documents, 256):
            for tokens in self._tokens(part):
                # A token that ends texts and starts them, too, is written once between two of them.
                first = int(tokens[0][0] == before == self.tokenizer.bos_token_id)
                for column, values in zip(columns, list[list[Any]](tokens), strict=True):
                    column.extend(values[first:])
                before = tokens[0][-1]
                while len(columns[0]) >= self.context:
                    ids, scores, ends, document_scores = (column[: self.context] for column in columns)
                    yield ids, scores, ends, document_scores
                    for column in columns:
                        del column[: self.context]

    def _tokens(self, documents: Sequence[Document]) -> Iterator[Row]:
        """Columns of each document; many are tokenized in one call, which is where the time goes."""
        heads = [policy_prompt(self.tokenizer, document.prompt) for document in documents]
        for document, head, (ids, spans) in zip(documents, heads, self._encoded(documents, heads), strict=True):
            leading = self._leading(head)
            if document.scores:
                tokens, scores = self._judged(document, len(head), ids, spans)
            else:
                tokens, scores = list(ids), [UNSCORED] * len(ids)
            tokens = [*leading, *tokens, self.tokenizer.eos_token_id]
            last = document.scores[-1] if document.scores else UNSCORED
            scores = [*[document.score] * len(leading), *scores, last]
            ends = [0.0] * (len(tokens) - 1)
            yield tokens, scores, [*ends, 1.0], [*ends, document.score]

    def _leading(self, head: str) -> list[int]:
        """What a document starts with before its prompt, as a prompt does that is sampled from. A chat template writes
        it itself."""
        if getattr(self.tokenizer, "chat_template", None):
            return []
        return leading_ids(self.tokenizer) if head else start_ids(self.tokenizer)

    def _encoded(self, documents: Sequence[Document], heads: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
        """Token ids of each document behind its head, and where in the text each token ends."""
        texts = [head + document.text for head, document in zip(heads, documents, strict=True)]
        templated = bool(getattr(self.tokenizer, "chat_template", None))
        encoded = self.tokenizer(texts, add_special_tokens=False, split_special_tokens=not templated, verbose=False)
        scored = any(document.scores for document in documents)
        if not encoded.is_fast and scored:
            raise ValueError("this model's tokenizer does not say where its tokens stand in the text, as scores need")
        for number, (document, ids) in enumerate(zip(documents, encoded["input_ids"], strict=True)):
            if templated and names_special(self.tokenizer, document.prompt + document.text):
                yield document_ids(self.tokenizer, document.prompt, document.text, spans=scored)
            else:
                yield list(ids), [end for _, end in encoded[number].offsets] if scored else []

    def _judged(
        self, document: Document, start: int, ids: Sequence[int], ends: Sequence[int]
    ) -> tuple[list[int], list[float]]:
        """The tokens of the whole text, which are the usual ones, with the marks of its segments before them, and a
        score for each. A token belongs to the segment that its last character is in: a space in front of a sentence is
        part of the sentence's first token. start: where the segments begin; ends: where in the text each token ends."""
        bounds = list(itertools.accumulate(map(len, document.segments), initial=start))
        tokens: list[int] = []
        scores: list[float] = []
        before = 0
        for token, end in zip(ids, ends, strict=True):
            number = min(bisect.bisect_left(bounds, end), len(document.scores))  # 0: the prompt
            score = document.scores[number - 1] if number else document.score
            mark = self.mark(score) if self.mark and number > before else ""
            if mark:
                tokens.append(self.tokenizer.convert_tokens_to_ids(mark))
                scores.append(score)
            tokens.append(token)
            scores.append(score)
            before = number
        return tokens, scores


def stacked(rows: Sequence[Row]) -> Batch:
    ids, scores, ends, documents = zip(*rows, strict=True)
    return Batch(torch.tensor(ids), torch.tensor(scores), torch.tensor(ends), torch.tensor(documents))


def batches(
    rows: Callable[[], Iterator[R]], size: int, seed: int, stack: Callable[[list[R]], B], buffer: int = 2048
) -> Iterator[B]:
    """Endless batches: rows in random order out of a buffer that the corpus is streamed through, again and again.

    Memory holds `buffer` rows, whatever the size of the corpus. Raises ValueError when the corpus fills no row.
    """
    rng = random.Random(seed)
    buffered: list[R] = []
    batch: list[R] = []
    while True:
        count = 0
        for row in rows():
            count += 1
            if len(buffered) < buffer:
                buffered.append(row)
                continue
            place = rng.randrange(buffer)
            batch.append(buffered[place])
            buffered[place] = row
            if len(batch) == size:
                yield stack(batch)
                batch = []
        if not count:
            raise ValueError("the corpus is too small to fill one row of tokens")
        # A corpus that fits into the buffer is dealt out whole before it is read again.
        rng.shuffle(buffered)
        while buffered:
            batch.append(buffered.pop())
            if len(batch) == size:
                yield stack(batch)
                batch = []


def _parts(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    part: list[Document] = []
    for document in documents:
        part.append(document)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
