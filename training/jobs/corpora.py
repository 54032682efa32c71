"""Where pretraining reads its documents: files, which are streamed, the study's responses, or a demo's grammar."""

import gzip
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.db.models import QuerySet
from django.utils.translation import get_language, gettext

from annotate.exchange.exporters.records import items_of
from annotate.exchange.files.sources import known_rows
from annotate.models.prompts import Response, Split
from annotate.models.studies import Study
from core.errors import PalateError
from training.demo import cases
from training.demo import corpus as demo
from training.engine.data.documents import Document
from training.models import Run, RunKind

DEMO, CHINESE, STUDY = "demo", "demo-zh", "study"


def suggested(study: Study) -> str:
    """What a page offers first: the texts of the study's demo, or else the demo's in the language of the page."""
    if made := Run.objects.filter(study=study, kind=RunKind.DEMO).first():
        return f"{DEMO}:{cases.grammar(made.config['template'], made.config.get('language', 'en'))}"
    return CHINESE if (get_language() or "").startswith("zh") else DEMO


def check_corpus(study: Study | None, named: str, flag: str = "--corpus") -> None:
    """Raises PalateError when there is nothing to read. flag: the option that names it."""
    if named == STUDY:
        if study is None or not _responses(study).exists():
            message = gettext("%(flag)s study: the study has no responses to prompts of its train split")
            raise PalateError(message % {"flag": flag})
    elif named.startswith(f"{DEMO}:"):
        if _case(named) not in cases.GRAMMARS:
            raise PalateError(f"{flag} {named}: expected {DEMO}: and one of {', '.join(cases.GRAMMARS)}")
    elif named not in (DEMO, CHINESE):
        for path in _files(named):
            if not path.is_file():
                raise PalateError(f"{flag} {path}: no such file")


@dataclass(frozen=True)
class Corpus:
    """Documents that can be read again and again; a file is never held in memory."""

    study: Study | None
    named: str
    documents: int
    seed: int
    flag: str = "--corpus"

    def __iter__(self) -> Iterator[Document]:
        if self.named == DEMO:
            pairs: Iterator[tuple[str, str]] = iter(demo.documents(self.documents, self.seed))
        elif self.named == CHINESE:
            pairs = iter(cases.documents_in_chinese(self.documents, self.seed))
        elif self.named.startswith(f"{DEMO}:"):
            pairs = iter(cases.documents(_case(self.named), self.documents, self.seed))
        elif self.named == STUDY and self.study is not None:
            pairs = items_of(_responses(self.study))
        else:
            pairs = (pair for path in _files(self.named) for pair in _read(path))
        empty = True
        for prompt, text in pairs:
            empty = False
            yield Document(prompt, (text,))
        if empty:
            message = gettext("%(flag)s %(corpus)s: holds no text")
            raise PalateError(message % {"flag": self.flag, "corpus": self.named})


def _case(named: str) -> str:
    return named.removeprefix(f"{DEMO}:")


def _responses(study: Study) -> QuerySet[Response]:
    return Response.objects.filter(prompt__study=study, prompt__split=Split.TRAIN).order_by("id")


def _files(named: str) -> list[Path]:
    return [Path(part.strip()).expanduser() for part in named.split(",") if part.strip()]


def _read(path: Path) -> Iterator[tuple[str, str]]:
    """(prompt, text) of each document of a .txt, .jsonl or .csv, also .gz, or of a .zip with a document a .txt."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = sorted(name for name in archive.namelist() if name.endswith(".txt"))
                yield from (("", archive.read(name).decode("utf-8").strip()) for name in names)
            return
        if path.name.removesuffix(".gz").endswith(".csv"):
            yield from _cells(path)
            return
        with _lines(path) as lines:
            by_lines = path.name.removesuffix(".gz").endswith(".jsonl")
            yield from _json_lines(path, lines) if by_lines else _paragraphs(lines)
    except UnicodeDecodeError as error:
        raise PalateError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError) as error:
        raise PalateError(f"{path}: {error}") from None


def _lines(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Documents with blank lines between them."""
    held: list[str] = []
    for line in lines:
        if line.strip():
            held.append(line)
        elif held:
            yield "", "".join(held).strip()
            held = []
    if held:
        yield "", "".join(held).strip()


def _cells(path: Path) -> Iterator[tuple[str, str]]:
    """Of the article's data.csv the column train; else prompt and response, or text."""
    for row in known_rows(path, {"train", "validation", "test", "prompt", "response", "text", "rating"}):
        if "train" in row.values:
            if str(row.values["train"]).strip():
                yield "", row.text("train")
        elif "response" in row.values:
            yield row.text("prompt", required=False), row.text("response")
        else:
            yield "", row.text("text")


def _json_lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            yield str(row.get("prompt", "")), str(row["response"] if "response" in row else row["text"])
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            raise PalateError(f"{path} line {number}: expected an object with prompt and response, or text") from None
