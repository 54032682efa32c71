"""Imports and exports at size: 1 million responses in, judgements out beside COPY … TO STDOUT, memory at two sizes.

    .venv/bin/python bench/exchange.py [--responses 1000000] [--judgements 1000000]

COPY writes the same judgements with their texts joined by PostgreSQL itself: the limit that no export can pass.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from crowd import palate_of_its_own

COPY = """COPY (
    SELECT j.id, j.live, j.made_at, j.rater_id, p.external_id, p.text, r.external_id, r.text, j.ranks, j.comment
    FROM annotate_judgement j JOIN annotate_task t ON t.id = j.task_id JOIN annotate_prompt p ON p.id = t.prompt_id
    JOIN LATERAL unnest(j.shown) WITH ORDINALITY s(id, place) ON true JOIN annotate_response r ON r.id = s.id
    ORDER BY p.id, j.id, s.place
) TO STDOUT (FORMAT csv)"""
TEXT = "The quick brown fox jumps over the lazy dog, again and again, until both are tired of it. " * 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--responses", type=int, default=1_000_000)
    parser.add_argument("--judgements", type=int, default=1_000_000)
    options = parser.parse_args()
    with palate_of_its_own() as folder:
        time_import(folder, options.responses)
        size = options.judgements
        fill(size // 10, 0)
        small = {kind: time_export(folder, kind) for kind in ("csv", "parquet")}
        fill(size - size // 10, size // 10)
        for kind in small:
            large = time_export(folder, kind)
            memory = [f"{told['mb']:.0f} MB for {told['rows']:,} rows" for told in (small[kind], large)]
            print(f"raw {kind}: {large['rows'] / large['seconds']:,.0f} rows a second; memory {', '.join(memory)}")
        seconds = time_copy()
        print(f"COPY of the same rows: {2 * size / seconds:,.0f} rows a second")


def time_import(folder: Path, count: int) -> None:
    from annotate.exchange.import_preferences import import_preferences

    file = folder / "responses.jsonl"
    with file.open("w") as out:
        for n in range(count):
            row = {"prompt_id": f"p{n // 4}", "prompt": f"{n // 4} {TEXT}", "response_id": f"r{n}"}
            out.write(json.dumps({**row, "response": f"{n} {TEXT}", "author": f"model {n % 4}"}) + "\n")
    for what in ("new", "all there already"):
        start = time.perf_counter()
        import_preferences(slug="responses", path=file)
        seconds = time.perf_counter() - start
        print(f"import of {count:,} responses ({what}): {seconds:.0f} s, {count / seconds:,.0f} a second")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of the importing process: {used:.0f} MB")


def fill(count: int, start: int) -> None:
    """Pairs with ten judgements each, written by SQL: what is measured is their export."""
    from django.db import connection

    from annotate.members.models import Membership
    from annotate.studies.models import Study
    from annotate.studies.operations import create_study

    study = Study.objects.filter(slug="judged").first() or create_study(slug="judged", name="Judged")
    raters = [
        Membership.objects.get_or_create(study=study, kind="imported", external_id=f"r{n}")[0].pk for n in range(10)
    ]
    first, last = start // 10, (start + count) // 10 - 1
    span = {"study": study.pk, "first": first, "last": last, "text": TEXT, "raters": raters}
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE annotate_judgement DISABLE TRIGGER USER")
        for statement in FILL.split(";\n"):
            cursor.execute(statement, span)
        cursor.execute("ALTER TABLE annotate_judgement ENABLE TRIGGER USER")
        cursor.execute("ANALYZE")


FILL = """
INSERT INTO annotate_prompt (study_id, external_id, text, "group", split, reference, audience, created_at)
SELECT %(study)s, 'p' || n, n || %(text)s, '', 'train', '', '{}', now() FROM generate_series(%(first)s, %(last)s) n;
INSERT INTO annotate_response (prompt_id, external_id, text, author_name, decoding, created_at)
SELECT id, side, side || text, 'model ' || side, '{}', now() FROM annotate_prompt, (VALUES ('a'), ('b')) s(side)
WHERE study_id = %(study)s AND substr(external_id, 2)::int BETWEEN %(first)s AND %(last)s;
INSERT INTO annotate_task (study_id, prompt_id, key, replication, slots_taken, priority, purpose, audience, withdrawn,
    created_at, chosen_by, unplanned)
SELECT study_id, id, 'k' || id, 10, 10, 0, 'collect', '{}', false, now(), '', false FROM annotate_prompt
WHERE study_id = %(study)s AND substr(external_id, 2)::int BETWEEN %(first)s AND %(last)s;
INSERT INTO annotate_judgement (task_id, rater_id, part, instructions_version, shown, ranks, scores, unacceptable,
    comment, device, live, made_at, seconds)
SELECT t.id, rater, 'vote', 1, r.shown, '{1,2}', '{}', '{f,f}', '', '', true, now(), 12.5
FROM annotate_task t JOIN annotate_prompt p ON p.id = t.prompt_id
JOIN LATERAL (SELECT array_agg(id ORDER BY id) AS shown FROM annotate_response WHERE prompt_id = p.id) r ON true,
unnest(%(raters)s::bigint[]) rater
WHERE p.study_id = %(study)s AND substr(p.external_id, 2)::int BETWEEN %(first)s AND %(last)s
"""


def time_export(folder: Path, kind: str) -> dict[str, float]:
    """In a process of its own, whose peak of memory is the export's."""
    script = (
        "import resource, sys; from django.core.management import execute_from_command_line as run;"
        "run(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    result, output = folder / "result.json", folder / f"raw.{kind}"
    arguments = ["manage.py", "export_preferences", "--study", "judged", "--format", "raw"]
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--output", str(output), "--json", str(result)],
        capture_output=True, text=True, check=True, env=os.environ, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    rows = json.loads(result.read_text())["rows"]
    return {"seconds": seconds, "rows": rows, "mb": float(ended.stdout.split()[-1])}


def time_copy() -> float:
    from django.db import connection

    start = time.perf_counter()
    with connection.cursor() as cursor, cursor.cursor.copy(COPY) as copy, open(os.devnull, "wb") as out:
        for data in copy:
            out.write(data)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
