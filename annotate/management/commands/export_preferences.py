import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from annotate.exchange.exporters import exports
from annotate.exchange.exporters.dataset_folder import Folder, write_folder
from annotate.exchange.exporters.policy import Policy
from annotate.exchange.exporters.trl_formats import Style
from annotate.exchange.files.tables import FILE_TYPES, Counted, Table
from annotate.management.arguments import study_named
from core.command import PalateCommand, check_writable


class Command(PalateCommand):
    help = "Export a study as CSV (safe to open in a spreadsheet), JSON lines, Parquet or a datasets folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--study", required=True, help="short name of the study")
        parser.add_argument(
            "--format",
            choices=list(exports.FORMATS),
            required=True,
            help="raw: a row a judgement and response; pairs, rankings, scores, labels: what raters say together; "
            "feedback: skipped tasks, flags and comments; "
            "preference, unpaired, prompts: training data as TRL's trainers take it",
        )
        parser.add_argument("--output", required=True, metavar="FILE", help="file or folder; - for standard output")
        parser.add_argument(
            "--file-type",
            choices=[*FILE_TYPES, "folder"],
            help="default: by the ending of --output, else csv; folder: Parquet by split, dataset card and manifest",
        )
        parser.add_argument(
            "--split",
            choices=["all", "train", "validation", "test"],
            default="all",
            help="which prompts (default: all)",
        )
        policy = parser.add_argument_group("pairs that are not clear")
        policy.add_argument("--keep-ties", action="store_true", help="keep pairs with as many votes for as against")
        policy.add_argument(
            "--keep-unacceptable", action="store_true", help="count votes between two responses found unacceptable"
        )
        policy.add_argument("--min-agreement", type=float, default=0.0, metavar="SHARE", help="0 to 1 (default: 0)")
        policy.add_argument("--min-raters", type=int, default=1, metavar="N", help="raters a pair (default: 1)")
        policy.add_argument("--people", action="store_true", help="leave out simulated raters")
        policy.add_argument("--random-tasks", action="store_true", help="only tasks that chance drew in next_tasks")
        style = parser.add_argument_group("preference, unpaired, prompts")
        style.add_argument("--conversational", action="store_true", help="messages with roles instead of plain texts")
        style.add_argument("--implicit-prompt", action="store_true", help="the prompt stands within both responses")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        study, policy = study_named(options["study"]), _policy(options)
        style = Style(
            texts="conversational" if options["conversational"] else "plain",
            prompt="implicit" if options["implicit_prompt"] else "explicit",
        )
        summary = {"study": study.slug, "format": options["format"]}
        file_type = options["file_type"] or Path(options["output"]).suffix.removeprefix(".")
        if file_type == "folder":
            check_writable(str(Path(options["output"]).absolute()) + ".partial", flag="--output")
            folder = Folder(study, options["format"], policy=policy, style=style)
            rows = write_folder(folder, Path(options["output"]))
            self.stderr.write(_counts_line(sum(rows.values()), policy))
            return {**summary, "rows": sum(rows.values()), "splits": rows, "sha256": folder.hashes}
        table = exports.table(study, options["format"], split=options["split"], policy=policy, style=style)
        counted = Counted(table.rows)
        stream = FILE_TYPES.get(file_type, FILE_TYPES["csv"])(Table(table.columns, counted))
        if options["output"] == "-":
            sys.stdout.flush()
            sys.stdout.buffer.writelines(stream)
            sys.stdout.buffer.flush()
        else:
            check_writable(options["output"], flag="--output")
            with _whole(Path(options["output"])) as file:
                file.writelines(stream)
        self.stderr.write(_counts_line(counted.count, policy))
        return {**summary, "rows": counted.count, "left_out": dict(policy.left_out)}


def _policy(options: Mapping[str, Any]) -> Policy:
    return Policy(
        ties="keep" if options["keep_ties"] else "drop",
        unacceptable="keep" if options["keep_unacceptable"] else "drop",
        min_agreement=options["min_agreement"],
        min_raters=options["min_raters"],
        raters="people" if options["people"] else "all",
        tasks="random" if options["random_tasks"] else "all",
    )


def _counts_line(rows: int, policy: Policy) -> str:
    left_out = ", ".join(f"{n} {why}" for why, n in sorted(policy.left_out.items()))
    return f"{rows} rows" + (f"; left out: {left_out}" if left_out else "")


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` only when all of it has been written; a device or pipe is written into."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    handle, aside = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
