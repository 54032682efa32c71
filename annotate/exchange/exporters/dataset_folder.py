"""A folder that `datasets.load_dataset` opens: a Parquet file a split, a dataset card, a manifest with hashes."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.exchange.exporters import exports
from annotate.exchange.exporters.policy import Policy
from annotate.exchange.exporters.trl_formats import Style
from annotate.exchange.files.tables import Counted, Sink, Table, parquet_bytes
from annotate.models.prompts import Split
from annotate.models.studies import Study
from core.errors import PalateError

MANIFEST = "palate.json"
# Rows with a label: the Hub's names for what a table is for.
TASKS = {"preference": "reinforcement-learning", "unpaired": "reinforcement-learning", "prompts": "text-generation"}
Part = tuple[str, Iterator[bytes]]


class Folder:
    """The files of an export, one after another; each must be read to its end before the next is asked for."""

    def __init__(self, study: Study, form: str, *, policy: Policy, style: Style) -> None:
        self.study, self.form, self.policy, self.style = study, form, policy, style
        self.rows: dict[str, int] = {}
        self.hashes: dict[str, str] = {}

    def parts(self) -> Iterator[Part]:
        """Name and bytes of each file. A split without rows has no file."""
        for split in Split.values:
            table = exports.table(self.study, self.form, split=split, policy=self.policy, style=self.style)
            rows = Counted(table.rows)
            stream = parquet_bytes(Table(table.columns, rows))
            first = next(stream)
            # The first bytes come with the first rows, or with the end of an empty table.
            if rows.count:
                name = f"data/{split}.parquet"
                yield name, self._hashed(name, _chained(first, stream))
                self.rows[split] = rows.count
        if not self.rows:
            message = _("study %(study)s has nothing to export as %(form)s under this policy")
            raise PalateError(message % {"study": self.study.slug, "form": self.form})
        yield "README.md", self._hashed("README.md", iter([self._card().encode()]))
        yield MANIFEST, iter([self._manifest().encode()])

    def _hashed(self, name: str, stream: Iterator[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for data in stream:
            digest.update(data)
            yield data
        self.hashes[name] = digest.hexdigest()

    def _card(self) -> str:
        files = "\n".join(f"  - split: {split}\n    path: data/{split}.parquet" for split in self.rows)
        task = f"task_categories:\n- {TASKS[self.form]}\n" if self.form in TASKS else ""
        table = "\n".join(f"| {split} | {rows} |" for split, rows in self.rows.items())
        left_out = "".join(f"- pairs left out, {why}: {n}\n" for why, n in sorted(self.policy.left_out.items()))
        policy = "".join(f"- {name.replace('_', ' ')}: {value}\n" for name, value in self.policy.to_json().items())
        raters = self.study.memberships.filter(judgements__live=True).distinct()
        return f"""---
{task}configs:
- config_name: default
  data_files:
{files}
---

# {" ".join(self.study.name.split())}

Human preference data of the study `{self.study.slug}`, exported by Palate as `{self.form}` \
({self.style.texts}, {self.style.prompt} prompt).

| split | rows |
|---|---|
{table}

Splits are by prompt: a prompt, and a group of prompts, lies in one of them.

- raters who judged: {raters.count()}, of them simulated: {raters.filter(kind="simulated").count()}
{policy}{left_out}
The hash of each file stands in `{MANIFEST}`.
"""

    def _manifest(self) -> str:
        manifest = {
            "study": self.study.slug,
            "format": self.form,
            "texts": self.style.texts,
            "prompt": self.style.prompt,
            "policy": self.policy.to_json(),
            "left_out": dict(sorted(self.policy.left_out.items())),
            "made_at": timezone.now().isoformat(),
            "rows": self.rows,
            "sha256": self.hashes,
        }
        return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def write_folder(folder: Folder, output: Path) -> dict[str, int]:
    """Write the export into a folder that does not exist yet; returns rows by split. No half folder is left."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PalateError(f"--output {output}: exists and is not an empty folder; exports are never overwritten")
    aside = output.with_name(output.name + ".partial")
    try:
        for name, stream in folder.parts():
            path = aside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines(stream)
        if output.exists():
            output.rmdir()
        aside.rename(output)
    finally:
        _removed(aside)
    return folder.rows


def _removed(aside: Path) -> None:
    if aside.exists():
        for path in sorted(aside.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        aside.rmdir()


def zipped(folder: Folder, name: str) -> Iterator[bytes]:
    """The same folder as a zip archive, stored as it is (Parquet is compressed already), for a browser."""
    sink = Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for part, stream in folder.parts():
            with archive.open(f"{name}/{part}", "w", force_zip64=True) as file:
                for data in stream:
                    file.write(data)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()
