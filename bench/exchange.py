"""Exports and imports at size: memory, and rows a second beside COPY … TO STDOUT of the same rows.

    .venv/bin/python bench/exchange.py [--sizes 100000 1000000] [--responses 1000000] [--data FOLDER]

Fills a database of its own (below --data, removed with it; 10 million judgements take 8 GB) with pairs that ten raters
judged. Every export and import is the command in a process of its own, so that the most memory it held is its own too.
Processor seconds are those of the command and of PostgreSQL together: they tell more than the clock where other work
shares the machine. COPY lets PostgreSQL join and write the same columns: the limit that no export can pass.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crowd import ROOT, palate_of_its_own, postmaster, processor_seconds
from scale import keep_defaults

TEXT = " The quick brown fox jumps over the lazy dog, again and again, until both are tired of it." * 3
RATERS = 10

FILL = """
INSERT INTO annotate_prompt (study_id, external_id, text, "group", split, reference, audience, created_at)
SELECT %(study)s, 'p' || n, n || %(text)s, '', 'train', '', '{}', now() FROM generate_series(1, %(tasks)s) n;

INSERT INTO annotate_response (prompt_id, external_id, text, author_name, decoding, created_at)
SELECT id, side, side || text, 'model ' || side, '{}', now()
FROM annotate_prompt, (VALUES ('a'), ('b')) s (side) WHERE study_id = %(study)s;

INSERT INTO annotate_membership
    (study_id, external_id, role, kind, active, created_at, tags, status, instructions_read)
SELECT %(study)s, 'r' || n, 'rater', 'imported', true, now(), '{}', 'good', 0 FROM generate_series(1, %(raters)s) n;

INSERT INTO annotate_task
    (study_id, prompt_id, key, replication, slots_taken, priority, withdrawn, created_at, purpose, audience)
SELECT %(study)s, id, id, %(raters)s, %(raters)s, 0, false, now(), 'collect', '{}'
FROM annotate_prompt WHERE study_id = %(study)s;

ANALYZE annotate_prompt, annotate_response, annotate_membership, annotate_task;

-- Two of three votes are for the first response.
INSERT INTO annotate_judgement
    (task_id, rater_id, part, instructions_version, shown, ranks, scores, unacceptable, comment, seconds, device,
     live, made_at)
SELECT t.id, m.id, 'vote', 1, r.shown,
       CASE WHEN hashint8(t.id * 100 + m.id) %% 3 = 0 THEN '{2,1}'::int[] ELSE '{1,2}' END, '{}', '{f,f}', '', 12.5,
       'desktop', true, now()
FROM (SELECT prompt_id, array_agg(id ORDER BY id) AS shown FROM annotate_response GROUP BY prompt_id) r
JOIN annotate_task t USING (prompt_id) JOIN annotate_membership m USING (study_id) WHERE t.study_id = %(study)s
"""
COPY = {
    "raw": """
SELECT j.id, j.live, j.supersedes_id, j.made_at, j.part, t.purpose, t.chosen_by, j.instructions_version, j.rater_id,
       m.kind, m.status, j.device, p.external_id, p."group", p.split, p.text, s.place, r.external_id, r.author_name,
       r.text, j.ranks[s.place], j.scores, j.strength, j.unacceptable[s.place], j.label, j.confidence, j.comment,
       j.seconds
FROM annotate_judgement j JOIN annotate_task t ON t.id = j.task_id JOIN annotate_prompt p ON p.id = t.prompt_id
JOIN annotate_membership m ON m.id = j.rater_id
CROSS JOIN LATERAL unnest(j.shown) WITH ORDINALITY s (id, place) JOIN annotate_response r ON r.id = s.id
WHERE t.study_id = %(study)s ORDER BY p.id, j.id, s.place""",
    "pairs": """
SELECT p.external_id, p."group", p.split, p.text, a.text, b.text, a.external_id, b.external_id, a.author_name,
       b.author_name, greatest(won, lost), least(won, lost), abs(won - lost), greatest(won, lost)::float / (won + lost),
       raters
FROM (SELECT task_id, min(shown) AS shown, count(*) FILTER (WHERE ranks[1] < ranks[2]) AS won,
             count(*) FILTER (WHERE ranks[1] > ranks[2]) AS lost, count(DISTINCT rater_id) AS raters
      FROM annotate_judgement WHERE live GROUP BY task_id) v
JOIN annotate_task t ON t.id = v.task_id JOIN annotate_prompt p ON p.id = t.prompt_id
JOIN annotate_response a ON a.id = shown[CASE WHEN won > lost THEN 1 ELSE 2 END]
JOIN annotate_response b ON b.id = shown[CASE WHEN won > lost THEN 2 ELSE 1 END]
WHERE t.study_id = %(study)s AND won <> lost ORDER BY p.id""",
}
# The kernel's ru_maxrss would not be the command's own: a process begins with that of the process which started it.
COMMAND = (
    "import re, sys; from django.core.management import execute_from_command_line as run; run(sys.argv[1:]);"
    "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024, file=sys.stderr)"
)


@dataclass
class Cost:
    """seconds by the clock; processor: seconds of the command and of PostgreSQL; mb: the most that the command held."""

    seconds: float = 0.0
    processor: float = 0.0
    mb: float = 0.0

    def report(self, rows: int) -> str:
        rate = f"{rows / self.seconds:9,.0f} rows a second, {rows / self.processor:9,.0f} a processor second"
        return f"{rate}, {self.seconds:6.1f} s" + (f", {self.mb:4.0f} MB" if self.mb else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000], help="judgements to export")
    parser.add_argument("--formats", nargs="+", choices=list(COPY), default=list(COPY))
    parser.add_argument("--file-types", nargs="+", default=["csv", "jsonl", "parquet"])
    parser.add_argument("--responses", type=int, default=1_000_000, help="responses to import; 0: none")
    parser.add_argument("--data", default=tempfile.gettempdir(), help="where the database may grow")
    options = parser.parse_args()
    with palate_of_its_own(options.data) as folder:
        if options.responses:
            time_imports(folder, options.responses)
        for size in options.sizes:
            started = time.perf_counter()
            study = fill(size)
            print(f"\n{size:,} judgements (filled in {time.perf_counter() - started:.0f} s)")
            for form in options.formats:
                time_exports(folder, study, form, options.file_types)


def time_imports(folder: Path, count: int) -> None:
    file = folder / "responses.jsonl"
    with file.open("w") as out:
        for n in range(count):
            row = {"prompt_id": f"p{n // 4}", "prompt": f"{n // 4}{TEXT}", "response_id": f"r{n}"}
            out.write(json.dumps({**row, "response": f"{n}{TEXT}", "author": f"model {n % 4}"}) + "\n")
    print(f"import of {count:,} responses")
    for what in ("new", "all there"):
        print(f"  {what:9}", run(folder, "import_preferences", "imported", str(file)).report(count), flush=True)
    file.unlink()


def fill(size: int):
    """A study with so many judgements, written by SQL: what is measured is their export."""
    from django.db import connection, transaction

    from annotate.studies.operations import create_study

    study = create_study(slug=f"judged-{size}", name=str(size), replication=RATERS)
    values = {"study": study.pk, "tasks": size // RATERS, "raters": RATERS, "text": TEXT}
    with transaction.atomic(), connection.cursor() as cursor:
        # The rows fit by construction: no trigger and no foreign key needs to look at millions of them.
        cursor.execute("SET LOCAL session_replication_role = replica")
        keep_defaults(cursor)
        drop_unread_indexes(cursor)
        for statement in FILL.split(";\n"):
            cursor.execute(statement, values if "%(" in statement else None)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    return study


def drop_unread_indexes(cursor) -> None:
    """An export finds judgements by their task: keeping up the other indexes would be most of the time to fill."""
    cursor.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'annotate_judgement' AND indexdef NOT LIKE '%(task_id)'"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f'DROP INDEX "{name}"')


def time_exports(folder: Path, study, form: str, file_types: list[str]) -> None:
    rows = 0
    for file_type in file_types:
        result = folder / "result.json"
        arguments = ["--study", study.slug, "--format", form, "--file-type", file_type, "--json", str(result)]
        cost = run(folder, "export_preferences", *arguments, "--output", "-")
        rows = json.loads(result.read_text())["rows"]
        print(f"  {form:5} {file_type:7} {cost.report(rows)}", flush=True)
    with measured(folder) as cost:
        copy(COPY[form] % {"study": study.pk})
    print(f"  {form:5} COPY    {cost.report(rows)}", flush=True)


def copy(query: str) -> None:
    from django.db import connection

    statement = f"COPY ({query}) TO STDOUT (FORMAT csv)"
    with connection.cursor() as cursor, cursor.cursor.copy(statement) as rows, open(os.devnull, "wb") as out:
        for data in rows:
            out.write(data)


def run(folder: Path, *arguments: str) -> Cost:
    """The cost of a command of manage.py, whose output nobody keeps."""
    with measured(folder) as cost:
        before = sum(os.times()[2:4])
        ended = subprocess.run(
            [sys.executable, "-c", COMMAND, "manage.py", *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        if ended.returncode:
            raise SystemExit(ended.stderr)
        cost.processor += sum(os.times()[2:4]) - before
    cost.mb = float(ended.stderr.split()[-1])
    return cost


@contextmanager
def measured(folder: Path) -> Iterator[Cost]:
    cost, server = Cost(), postmaster(folder / "postgres")
    before = processor_seconds(server)
    started, own = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds = time.perf_counter() - started
    cost.processor += time.process_time() - own + processor_seconds(server) - before


if __name__ == "__main__":
    main()
