"""Documents for pretraining, and their tokens end to end in rows of equal length, each with its segment's score."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from training.engine.documents import UNSCORED, Document
from training.engine.formatting import policy_prompt

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
        for part in _parts(documents, 256):
            for tokens in self._tokens(part):
                for column, values in zip(columns, list[list[Any]](tokens), strict=True):
                    column.extend(values)
                while len(columns[0]) >= self.context:
                    ids, scores, ends, document_scores = (column[: self.context] for column in columns)
                    yield ids, scores, ends, document_scores
                    for column in columns:
                        del column[: self.context]

    def _tokens(self, documents: Sequence[Document]) -> Iterator[Row]:
        """Columns of each document; many are tokenized in one call, which is where the time goes."""
        pieces = [self._pieces(document) for document in documents]
        flat = [text for of_document in pieces for text, _ in of_document]
        encoded = iter(self.tokenizer(flat, add_special_tokens=False, verbose=False)["input_ids"] if flat else [])
        for document, of_document in zip(documents, pieces, strict=True):
            ids: list[int] = []
            scores: list[float] = []
            for _, score in of_document:
                piece = next(encoded)
                ids += piece
                scores += [score] * len(piece)
            ids.append(self.tokenizer.eos_token_id)
            scores.append(document.scores[-1] if document.scores else UNSCORED)
            ends = [0.0] * (len(ids) - 1)
            yield ids, scores, [*ends, 1.0], [*ends, document.score]

    def _pieces(self, document: Document) -> list[tuple[str, float]]:
        """What is tokenized apart: without scores the whole text at once, so that its tokens are the usual ones."""
        head = policy_prompt(self.tokenizer, document.prompt)
        if not document.scores:
            return [(head + document.text, UNSCORED)]
        judged = zip(document.segments, document.scores, strict=True)
        pieces = [((self.mark(score) if self.mark else "") + segment, score) for segment, score in judged]
        return [(head, document.score), *pieces] if head else pieces


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
    held: list[R] = []
    batch: list[R] = []
    while True:
        count = 0
        for row in rows():
            count += 1
            if len(held) < buffer:
                held.append(row)
                continue
            place = rng.randrange(buffer)
            batch.append(held[place])
            held[place] = row
            if len(batch) == size:
                yield stack(batch)
                batch = []
        if not count:
            raise ValueError("the corpus is too small to fill one row of tokens")
        # A corpus that fits into the buffer is dealt out whole before it is read again.
        rng.shuffle(held)
        while held:
            batch.append(held.pop())
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
