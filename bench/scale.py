"""Does handing out and judging stay as fast when a study grows?

Fills a database of its own (below the folder --data, removed with it) with studies of 10 thousand, 100 thousand
and 1 million tasks with ten judgements a task, half of the tasks full. Prints for each size how long a lease and
a submit take, and the query plan of the hand-out. Then many raters work at once through the real web server, each
with some seconds of thought: the latencies of answer and next task. Use `--sizes 10000` for a first look.
"""

import argparse
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

from crowd import Browser, held, make_members, palate_of_its_own, web_server

REPLICATION = 20
PORT = 8791

FILL = """
INSERT INTO annotate_prompt (study_id, external_id, text, "group", split, reference, audience, created_at)
SELECT %(study)s, n, 'prompt ' || n, '', 'train', '', '{}', now() FROM generate_series(1, %(prompts)s) n;

INSERT INTO annotate_response (prompt_id, external_id, text, author_name, decoding, created_at)
SELECT id, r, 'response ' || r, 'bench', '{}', now()
FROM annotate_prompt, generate_series(1, 2) r WHERE study_id = %(study)s;

INSERT INTO annotate_membership
    (study_id, external_id, role, kind, active, created_at, tags, status, instructions_read)
SELECT %(study)s, n, 'rater', 'imported', true, now(), '{}', 'good', 0 FROM generate_series(1, %(raters)s) n;

-- Every other task is full.
INSERT INTO annotate_task
    (study_id, prompt_id, key, replication, slots_taken, priority, withdrawn, created_at, purpose, audience)
SELECT %(study)s, id, id, %(replication)s, CASE WHEN id %% 2 = 0 THEN %(replication)s ELSE 0 END,
       0, false, now(), 'collect', '{}'
FROM annotate_prompt WHERE study_id = %(study)s;

INSERT INTO annotate_taskresponse (task_id, response_id, position)
SELECT t.id, r.id, row_number() OVER (PARTITION BY t.id ORDER BY r.id) - 1
FROM annotate_task t JOIN annotate_response r ON r.prompt_id = t.prompt_id WHERE t.study_id = %(study)s;

CREATE TEMPORARY TABLE vote ON COMMIT DROP AS
SELECT t.id AS task, m.first + (t.id * 7 + v * 997) %% %(raters)s AS rater, p.shown
FROM annotate_task t
JOIN (SELECT task_id, array_agg(response_id) AS shown FROM annotate_taskresponse GROUP BY task_id) p ON p.task_id = t.id
CROSS JOIN (SELECT min(id) AS first FROM annotate_membership WHERE study_id = %(study)s) m
CROSS JOIN generate_series(1, %(replication)s) v
WHERE t.study_id = %(study)s AND t.slots_taken > 0;

INSERT INTO annotate_assignment
    (task_id, rater_id, part, instructions_version, shown, state, leased_at, expires_at, ended_at, skip_reason)
SELECT task, rater, 'vote', 0, shown, 'judged', now(), now(), now(), '' FROM vote;

INSERT INTO annotate_judgement
    (task_id, rater_id, part, instructions_version, shown, ranks, scores, unacceptable, comment, seconds, device,
     live, made_at)
SELECT task, rater, 'vote', 0, shown, '{1,2}', '{}', '{false,false}', '', 12, 'desktop', true, now() FROM vote;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="numbers of tasks")
    parser.add_argument("--old-raters", type=int, default=20_000, help="raters who made the judgements that are there")
    parser.add_argument("--leases", type=int, default=200, help="leases and submits to measure at each size")
    parser.add_argument("--raters", type=int, default=200, help="raters at once at the largest size")
    parser.add_argument("--thought", type=float, default=10.0, help="mean seconds between a rater's answers")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the raters work")
    parser.add_argument("--data", default=tempfile.gettempdir(), help="where the database may grow (1 million: 10 GB)")
    options = parser.parse_args()
    with palate_of_its_own(options.data) as folder:
        for size in options.sizes:
            study, sessions = fill(size, options.raters, options.old_raters)
            measure(study, options.leases)
        serve_many(folder, study, sessions, options)


def fill(tasks: int, raters: int, old_raters: int):
    from django.db import connection, transaction

    from annotate.studies.operations import create_study

    started = time.perf_counter()
    study = create_study(slug=f"bench-{tasks}", name=str(tasks), replication=REPLICATION)
    values = {"study": study.pk, "prompts": tasks, "raters": old_raters, "replication": REPLICATION}
    with transaction.atomic(), connection.cursor() as cursor:
        # The rows fit by construction: no trigger and no foreign key needs to look at millions of them.
        cursor.execute("SET LOCAL session_replication_role = replica")
        keep_defaults(cursor)
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, values if "%(" in statement else None)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        # A study grows over months: what is measured must not wait for gigabytes on their way to the disk.
        cursor.execute("CHECKPOINT")
    print(f"\n{tasks:,} tasks, {tasks * REPLICATION // 2:,} judgements: made in {time.perf_counter() - started:.0f} s")
    return study, make_members(study, raters)


def keep_defaults(cursor) -> None:
    """What Django fills in, plain SQL gets from the database: FILL names the columns that matter here."""
    from django.apps import apps
    from django.db import connection
    from psycopg import sql

    alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}")
    for name in ("Prompt", "Response", "Membership", "Task", "Assignment", "Judgement"):
        model = apps.get_model("annotate", name)
        for field in model._meta.concrete_fields:
            if (value := field.get_default()) is not None:
                stored = sql.Literal(field.get_db_prep_save(value, connection))
                names = sql.Identifier(model._meta.db_table), sql.Identifier(field.column)
                cursor.execute(alter.format(*names, stored))


def measure(study, turns: int) -> None:
    from annotate.collection.judgements import Answer, submit
    from annotate.collection.leases import lease_next
    from annotate.members.queries import progress_of
    from annotate.models.tasks import Task

    raters = list(study.memberships.filter(kind="person").select_related("study"))
    leases, submits, counts = [], [], []
    for turn in range(turns):
        rater = raters[turn % len(raters)]
        started = time.perf_counter()
        assignment = lease_next(rater=rater)
        leased = time.perf_counter()
        submit(assignment=assignment, answer=Answer(ranks=[1, 2], strength=1))
        leases.append(leased - started)
        submits.append(time.perf_counter() - leased)
        started = time.perf_counter()
        progress_of(rater)
        counts.append(time.perf_counter() - started)
    print(f"  lease  {quantiles(leases)}\n  submit {quantiles(submits)}\n  counts {quantiles(counts)}", flush=True)
    plan = Task.objects.open_to(raters[0]).in_turn()[:1].explain(analyze=True, buffers=True)
    print("  " + plan.replace("\n", "\n  "))


def quantiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"median {1000 * cuts[49]:6.1f} ms, p95 {1000 * cuts[94]:6.1f} ms, p99 {1000 * cuts[98]:6.1f} ms"


def serve_many(folder: Path, study, sessions: list[str], options) -> None:
    """Raters in threads, each with a browser of its own, against the web server as `make run` starts it."""
    from django.db import connection

    connection.close()
    with web_server(folder, PORT):
        until = time.monotonic() + options.seconds
        raters = [Rater(study.slug, session, options.thought, until) for session in sessions]
        for rater in raters:
            rater.start()
        for rater in raters:
            rater.join()
    print(f"\n{len(raters)} raters at once, {options.thought:g} s of thought, {options.seconds:g} s, 2 web processes")
    for name in ("judge", "ahead"):
        times = [seconds for rater in raters for what, seconds in rater.times if what == name]
        print(f"  {name:6} {quantiles(times)}, {len(times)} requests")
    if problems := [rater.problem for rater in raters if rater.problem]:
        print(f"  {len(problems)} raters failed: {problems[0]}\n{(folder / 'gunicorn.log').read_text()[-3000:]}")


class Rater(threading.Thread):
    """Opens the rating page once, then does what its script does: send an answer, ask ahead."""

    def __init__(self, slug: str, session: str, thought: float, until: float) -> None:
        super().__init__()
        self.slug, self.browser, self.thought, self.until = slug, Browser(PORT, session), thought, until
        self.times: list[tuple[str, float]] = []
        self.problem = ""

    def run(self) -> None:
        try:
            self.work(random.Random(self.browser.session))
        except Exception as error:
            self.problem = repr(error)

    def work(self, chance: random.Random) -> None:
        time.sleep(chance.random() * self.thought)
        current = held(self.browser.get(f"/studies/{self.slug}/rate/"))
        while time.monotonic() < self.until:
            following = self.timed("ahead", f"/studies/{self.slug}/rate/prefetch/", beyond=current)
            time.sleep(chance.uniform(0.5, 1.5) * self.thought)
            self.timed("judge", f"/assignments/{current}/judge/", preference="a1", seconds=5)
            current = held(following)

    def timed(self, name: str, path: str, **fields) -> str:
        started = time.perf_counter()
        status, body = self.browser.post(path, **fields)
        self.times.append((name, time.perf_counter() - started))
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:200]}")
        return body


if __name__ == "__main__":
    main()
