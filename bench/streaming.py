"""Does the memory of a training grow with the number of judgements?

Fills a database of its own (below the folder --data, removed with it) with a study of 3,000 prompts, four responses
to each, and so many judgements of its 18,000 pairs; then runs `train_preference --kind linear` on each, and prints the
most memory that the process held and how long it took.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from crowd import ROOT, palate_of_its_own
from scale import keep_defaults

PROMPTS, RESPONSES, RATERS = 3000, 4, 2000
PAIRS = PROMPTS * RESPONSES * (RESPONSES - 1) // 2

FILL = """
CREATE FUNCTION pg_temp.words(count int, seed int) RETURNS text LANGUAGE sql AS $$
SELECT string_agg('w' || hashint4(seed * 1000 + n) %% 2000, ' ') FROM generate_series(1, count) n $$;

INSERT INTO annotate_prompt (study_id, external_id, text, "group", split, reference, audience, created_at)
SELECT %(study)s, n, pg_temp.words(30, n), '',
       CASE n %% 10 WHEN 0 THEN 'validation' WHEN 1 THEN 'test' ELSE 'train' END, '', '{}', now()
FROM generate_series(1, %(prompts)s) n;

INSERT INTO annotate_response (prompt_id, external_id, text, author_name, decoding, created_at)
SELECT id, r, pg_temp.words(40, (id * 10 + r)::int) || repeat(' good', r), 'bench', '{}', now()
FROM annotate_prompt, generate_series(1, %(responses)s) r WHERE study_id = %(study)s;

INSERT INTO annotate_membership
    (study_id, external_id, role, kind, active, created_at, tags, status, instructions_read)
SELECT %(study)s, n, 'rater', 'imported', true, now(), '{}', 'good', 0 FROM generate_series(1, %(raters)s) n;

INSERT INTO annotate_task
    (study_id, prompt_id, key, replication, slots_taken, priority, withdrawn, created_at, purpose, audience)
SELECT %(study)s, a.prompt_id, a.id || ' ' || b.id, %(each)s, %(each)s, 0, false, now(), 'collect', '{}'
FROM annotate_response a JOIN annotate_response b ON a.prompt_id = b.prompt_id AND a.id < b.id
JOIN annotate_prompt p ON p.id = a.prompt_id WHERE p.study_id = %(study)s;

INSERT INTO annotate_taskresponse (task_id, response_id, position)
SELECT t.id, r, place - 1 FROM annotate_task t,
unnest(string_to_array(t.key, ' ')::bigint[]) WITH ORDINALITY AS shown (r, place) WHERE t.study_id = %(study)s;

-- The later response is better; one answer in five says the opposite.
INSERT INTO annotate_judgement
    (task_id, rater_id, part, instructions_version, shown, ranks, scores, unacceptable, comment, seconds, device,
     live, made_at)
SELECT t.id, m.first + (t.id * 7 + v * 997) %% %(raters)s, 'vote', 0, string_to_array(t.key, ' ')::bigint[],
       CASE WHEN random() < 0.2 THEN '{1,2}'::int[] ELSE '{2,1}' END, '{}', '{false,false}', '', 12, 'desktop',
       true, now()
FROM annotate_task t, generate_series(1, %(each)s) v,
     (SELECT min(id) AS first FROM annotate_membership WHERE study_id = %(study)s) m
WHERE t.study_id = %(study)s;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000], help="numbers of judgements")
    parser.add_argument("--data", default=tempfile.gettempdir(), help="where the database may grow")
    parser.add_argument("--flags", default="--kind linear --explain 0", help="flags of train_preference")
    options = parser.parse_args()
    with palate_of_its_own(options.data):
        for size in options.sizes:
            slug, count = fill(max(1, round(size / PAIRS)))
            seconds, peak = train(slug, options.flags.split())
            print(f"{count:,} judgements: {peak / 1024:,.0f} MB at most, {seconds:.1f} s", flush=True)


def fill(each: int) -> tuple[str, int]:
    """A study with so many judgements of each pair: its short name, and how many judgements."""
    from django.db import connection, transaction

    from annotate.studies.operations import create_study

    study = create_study(slug=f"bench-{each}", name=str(each), replication=each)
    values = {"study": study.pk, "prompts": PROMPTS, "responses": RESPONSES, "raters": RATERS, "each": each}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        keep_defaults(cursor)
        for statement in FILL.split(";\n\n"):
            cursor.execute(statement, values)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    return study.slug, each * PAIRS


def train(slug: str, flags: list[str]) -> tuple[float, int]:
    """Seconds, and the most kilobytes that the process held."""
    started = time.perf_counter()
    command = [sys.executable, "manage.py", "train_preference", "--study", slug, *flags]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=output)
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(output.read().decode()[-3000:])
    return time.perf_counter() - started, used.ru_maxrss


if __name__ == "__main__":
    main()
