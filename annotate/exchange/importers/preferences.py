"""Import of any file that Palate knows a shape for: prompts, responses, judgements. Streams, and adds nothing twice."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.exchange.files.rows import Row, wrong
from annotate.exchange.files.sources import rows, rows_about
from annotate.exchange.formats import registry
from annotate.exchange.formats.fields import Fields
from annotate.exchange.importers.analyze_tables import analyse
from annotate.exchange.importers.checks import check
from annotate.exchange.importers.column_mapping import FieldMapping
from annotate.exchange.importers.import_records import Bundle
from annotate.exchange.importers.notes import Notes, left_out
from annotate.exchange.importers.prompts import Report
from annotate.exchange.importers.studies import study_for_import
from annotate.exchange.importers.unread_fields import Refused, note_unread
from annotate.exchange.importers.writer import Writer, chunks
from annotate.models.studies import Method, Study
from core.errors import PalateError

MAX_ERRORS_SHOWN = 10
Scales = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ImportOptions:
    """How an import is done.

    shape: one of the registry, or "" to see from the first row. mapping: Palate's names for the file's columns.
    fields: which fields hold prompt and responses.
    scales: ranges of criteria that study and file lack. dry_run: all of it, and then undone. skip_bad: rows that do
    not fit are counted instead of stopping it. resumable: some thousand rows at a time are kept as they are done, so
    that a killed import goes on where it stopped; otherwise it is all or nothing. make_tasks: responses without
    judgements become tasks by the study's method.
    """

    shape: str = ""
    mapping: FieldMapping = field(default_factory=FieldMapping)
    fields: Fields = field(default_factory=Fields)
    scales: Scales = field(default_factory=dict)
    dry_run: bool = False
    skip_bad: bool = False
    resumable: bool = False
    make_tasks: bool = False

    def __post_init__(self) -> None:
        if self.shape and self.shape not in registry.SHAPES:
            message = _("--shape %(shape)s: expected one of %(known)s")
            raise PalateError(message % {"shape": self.shape, "known": ", ".join(registry.SHAPES)})
        if self.dry_run and self.resumable:
            raise PalateError(_("--dry-run and --resumable: a dry run keeps nothing; choose one of them"))


class Problems:
    """Rows that do not fit: the first stops the import, or all are counted and the first few summary."""

    def __init__(self, *, collect: bool) -> None:
        self.collect, self.count = collect, 0
        self.first: list[str] = []

    def add(self, error: PalateError) -> None:
        if not self.collect:
            raise error
        self.count += 1
        if len(self.first) < MAX_ERRORS_SHOWN:
            self.first.append(str(error))


def import_preferences(
    *, slug: str, path: Path, way: ImportOptions | None = None, report: Report | None = None
) -> dict[str, Any]:
    """Store what a file or folder holds in a study, which is made when it is new.

    Returns what was added and what was there already. Raises PalateError that names file, line and field.
    """
    way, notes = way or ImportOptions(), Notes()
    problems = Problems(collect=way.dry_run or way.skip_bad)
    stream = rows(path, notes=notes)
    first = next(stream)
    way.mapping.check(first)
    shape = way.shape or registry.guess(way.mapping.apply(first))
    total = rows_about(path) if report else 0
    bundles = _bundles(shape, chain([first], stream), way, problems, notes)
    counts: dict[str, int] = {}
    with nullcontext() if way.resumable else transaction.atomic():
        study, made, writer = None, False, None
        for chunk in chunks(bundles):
            with transaction.atomic():
                if writer is None:
                    study, made = _study(slug, chunk, way)
                    writer = Writer(study, shape, scales=way.scales, make_tasks=way.make_tasks, problems=problems.add)
                writer.take(chunk)
            counts = dict(writer.counts)
            if report:
                report(min(chunk[-1].row.line, total), total)
        if way.dry_run:
            transaction.set_rollback(True)
        else:
            analyse(writer.brought if writer else 0)
    if not counts and not problems.count:
        raise wrong(path, _("holds nothing to import") + _and_why(notes))
    return {
        "study": slug,
        "study_created": int(made),
        "shape": shape,
        "dry_run": int(way.dry_run),
        **{name: counts.get(name, 0) for name in Writer.COUNTED},
        "bad_rows": problems.count,
        "errors": problems.first,
        "ignored_fields": list(notes.ignored),
        "left_out": dict(notes.left_out),
        "remarks": notes.remarks,
    }


def _and_why(notes: Notes) -> str:
    return "".join(f"; {line}" for line in left_out(notes.left_out))


def _bundles(
    shape: str, stream: Iterator[Row], way: ImportOptions, problems: Problems, notes: Notes
) -> Iterator[Bundle]:
    parse = registry.parser(shape, way.fields, notes)
    for raw in registry.gathered(shape, stream):
        row = way.mapping.apply(raw)
        try:
            found = parse(row)
            for bundle in found:
                check(bundle)
            note_unread(row, shape, found, notes)
        except Refused:
            raise
        except PalateError as error:
            problems.add(error)
        else:
            yield from found


def _study(slug: str, chunk: list[Bundle], way: ImportOptions) -> tuple[Study, bool]:
    """The study; a new one gets the method that the first judgements tell of."""
    sizes = [len(judgement.shown) for bundle in chunk for judgement in bundle.judgements] or [2]
    scales = {**next((bundle.scales for bundle in chunk if bundle.scales), {}), **way.scales}
    most = max(set(sizes), key=sizes.count)
    method = Method.SCORE if most == 1 and scales else Method.RANK if most > 2 else Method.COMPARE
    criteria = [{"key": key, "minimum": low, "maximum": high} for key, (low, high) in scales.items()]
    return study_for_import(slug, method, criteria if method == Method.SCORE else ())


def summary(counts: Mapping[str, Any]) -> str:
    """The result in one line."""
    there = sum(counts[f"{what}_already_there"] for what in ("prompts", "responses", "judgements"))
    added = _("added: prompts %(prompts)d, responses %(responses)d, judgements %(judgements)d, raters %(raters)d, "
              "tasks %(tasks)d; already there: %(there)d")  # fmt: skip
    would = _("would be added: prompts %(prompts)d, responses %(responses)d, judgements %(judgements)d, raters "
              "%(raters)d, tasks %(tasks)d; already there: %(there)d")  # fmt: skip
    parts = [(would if counts["dry_run"] else added) % {**counts, "there": there}]
    if counts["bad_rows"]:
        bad = ngettext("%(count)d row is invalid", "%(count)d rows are invalid", counts["bad_rows"])
        parts.append(bad % {"count": counts["bad_rows"]})
    if counts["study_created"]:
        parts.append(_("the study is new"))
    return f"{counts['study']}, {counts['shape']}: {'; '.join(parts)}"
