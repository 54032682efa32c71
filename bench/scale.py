"""Does handing out and judging stay as fast when a study grows?

Fills a database of its own (below the folder --data, removed with it) with studies of 10 thousand, 100 thousand
and 1 million tasks with ten judgements a task, half of the tasks full. Prints for each size how long a lease and
a submit take, and the query plan of the hand-out. Then many raters work at once through the real web server, each
with some seconds of thought: the latencies of answer and next task. Use `--sizes 10000` for a first look.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
REPLICATION, RATERS_OF_OLD, LEASES = 20, 20_000, 200
PORT = 8791

FILL = """
INSERT INTO annotate_prompt (study_id, external_id, text, "group", split, reference, created_at)
SELECT %(study)s, n, 'prompt ' || n, '', 'train', '', now() FROM generate_series(1, %(prompts)s) n;

INSERT INTO annotate_response (prompt_id, external_id, text, author_name, decoding, created_at)
SELECT id, r, 'response ' || r, 'bench', '{}', now()
FROM annotate_prompt, generate_series(1, 2) r WHERE study_id = %(study)s;

INSERT INTO annotate_membership (study_id, external_id, role, kind, active, created_at, tags, standing, instructions_read)
SELECT %(study)s, n, 'rater', 'imported', true, now(), '{}', 'good', 0 FROM generate_series(1, %(raters)s) n;

-- Every other task is full.
INSERT INTO annotate_task (study_id, prompt_id, key, replication, slots_taken, priority, withdrawn, created_at, purpose, audience)
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

INSERT INTO annotate_assignment (task_id, rater_id, part, instructions_version, shown, state, leased_at, expires_at, ended_at, skip_reason)
SELECT task, rater, 'vote', 0, shown, 'judged', now(), now(), now(), '' FROM vote;

INSERT INTO annotate_judgement (task_id, rater_id, part, instructions_version, shown, ranks, scores, unacceptable, comment, seconds, device, live, made_at)
SELECT task, rater, 'vote', 0, shown, '{1,2}', '{}', '{false,false}', '', 12, 'desktop', true, now() FROM vote;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="numbers of tasks")
    parser.add_argument("--raters", type=int, default=200, help="raters at once at the largest size")
    parser.add_argument("--thought", type=float, default=10.0, help="mean seconds between a rater's answers")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the raters work")
    parser.add_argument("--data", default=tempfile.gettempdir(), help="where the database may grow (1 million: 10 GB)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="palate-bench-", dir=options.data) as folder:
        os.environ.update(PALATE_VAR=folder, DJANGO_SETTINGS_MODULE="palate.settings", ALLOWED_HOSTS="127.0.0.1")
        os.chmod(folder, 0o755)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for size in options.sizes:
            study = fill(size, options.raters)
            measure(study, size)
        serve_many(study, options)


def fill(tasks: int, raters: int):
    from django.contrib.auth.models import User
    from django.db import connection, transaction

    from annotate.members.models import Membership
    from annotate.studies.operations import create_study

    started = time.perf_counter()
    study = create_study(slug=f"bench-{tasks}", name=str(tasks), replication=REPLICATION)
    values = {"study": study.pk, "prompts": tasks, "raters": RATERS_OF_OLD, "replication": REPLICATION}
    with transaction.atomic(), connection.cursor() as cursor:
        # The rows fit by construction: no trigger and no foreign key needs to look at millions of them.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, values if "%(" in statement else None)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    for n in range(raters):
        user, _made = User.objects.get_or_create(username=f"bench-{n}", defaults={"password": "!"})
        Membership.objects.create(study=study, user=user)
    print(f"\n{tasks:,} tasks, {tasks * REPLICATION // 2:,} judgements: made in {time.perf_counter() - started:.0f} s")
    return study


def measure(study, size: int) -> None:
    from annotate.judgements.operations import Answer, submit
    from annotate.tasks.models import Task
    from annotate.tasks.operations import lease_next

    raters = list(study.memberships.filter(kind="person").select_related("study"))
    leases, submits = [], []
    for turn in range(LEASES):
        rater = raters[turn % len(raters)]
        started = time.perf_counter()
        assignment = lease_next(rater=rater)
        leased = time.perf_counter()
        submit(assignment=assignment, answer=Answer(ranks=[1, 2], strength=1))
        leases.append(leased - started)
        submits.append(time.perf_counter() - leased)
    print(f"  lease  {quantiles(leases)}\n  submit {quantiles(submits)}")
    plan = Task.objects.open_to(raters[0]).order_by("-priority", "id")[:1].explain(analyze=True, buffers=True)
    print("  " + plan.replace("\n", "\n  "))


def quantiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"median {1000 * cuts[49]:6.1f} ms, p95 {1000 * cuts[94]:6.1f} ms, p99 {1000 * cuts[98]:6.1f} ms"


def serve_many(study, options) -> None:
    """Raters in threads, each on a connection of its own, against gunicorn."""
    from django.db import connection

    sessions = [session_of(member.user) for member in study.memberships.filter(kind="person").select_related("user")]
    connection.close()
    log = open(Path(os.environ["PALATE_VAR"]) / "gunicorn.log", "wb")  # noqa: SIM115
    command = [sys.executable, "-m", "gunicorn", "palate.wsgi", "--bind", f"127.0.0.1:{PORT}", "--workers", "2"]
    server = subprocess.Popen([*command, "--threads", "4"], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_for_server()
        until = time.monotonic() + options.seconds
        raters = [Rater(study.slug, session, options.thought, until) for session in sessions]
        for rater in raters:
            rater.start()
        for rater in raters:
            rater.join()
        problems = [rater.problem for rater in raters if rater.problem]
        print(
            f"\n{len(raters)} raters at once, {options.thought:g} s of thought, {options.seconds:g} s, 2 web processes"
        )
        for name in ("judge", "ahead"):
            times = [seconds for rater in raters for what, seconds in rater.times if what == name]
            print(f"  {name:6} {quantiles(times)}, {len(times)} requests")
        print(f"  problems: {problems[:3] or 'none'}")
        if problems:
            print(Path(log.name).read_text()[-3000:])
    finally:
        server.terminate()
        server.wait()


def session_of(user) -> str:
    """The cookie of a signed-in user."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    return session.session_key


def wait_for_server() -> None:
    for _ in range(100):
        try:
            connection = HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", "/login/")
            return connection.getresponse().close()
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the web server did not start")


class Rater(threading.Thread):
    """Opens the rating page once, then does what its script does: send an answer, ask ahead."""

    def __init__(self, slug: str, session: str, thought: float, until: float) -> None:
        super().__init__()
        self.slug, self.session, self.thought, self.until = slug, session, thought, until
        self.times: list[tuple[str, float]] = []
        self.problem = ""

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.problem = repr(error)

    def work(self) -> None:
        chance = random.Random(self.session)
        time.sleep(chance.random() * self.thought)
        page, cookie = self.ask("GET", f"/studies/{self.slug}/rate/")
        self.token = SimpleCookie(cookie)["csrftoken"].value
        current = held(page)
        while time.monotonic() < self.until:
            following, _ = self.ask("POST", f"/studies/{self.slug}/rate/ahead/", "ahead", beyond=current)
            time.sleep(chance.uniform(0.5, 1.5) * self.thought)
            self.ask("POST", f"/assignments/{current}/judge/", "judge", preference="a1", seconds=5)
            current = held(following)

    def ask(self, method: str, path: str, name: str = "", **fields) -> tuple[str, str]:
        cookies = f"sessionid={self.session}" + (f"; csrftoken={self.token}" if name else "")
        headers = {"Cookie": cookies, "Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if name:
            headers["X-CSRFToken"] = self.token
        connection = HTTPConnection("127.0.0.1", PORT, timeout=30)
        started = time.perf_counter()
        connection.request(method, path, urlencode(fields), headers)
        response = connection.getresponse()
        body = response.read().decode()
        if name:
            self.times.append((name, time.perf_counter() - started))
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {body[:200]}")
        return body, response.getheader("Set-Cookie") or ""


def held(page: str) -> str:
    return re.search(r'data-assignment="(\d+)"', page)[1]


if __name__ == "__main__":
    main()
