"""Is anything lost while processes die?

Raters work at once through the real web server: they answer, give back and walk away. A manager starts runs. Meanwhile
leases run out, and web processes, PostgreSQL, a worker and the broker are killed with kill -9, at random. Like the
rating screen, a rater sends an answer again until the server has confirmed it. In the end the books are checked; exit
status 1 when they do not balance.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from crowd import ROOT, Browser, held, make_members, palate_of_its_own, postmaster, wait_for

PORT, BROKER_PORT = 8792, 8793
PATIENCE = 90  # seconds that a rater goes on sending
RUN_PATIENCE = 300  # seconds that runs may take once nothing is killed any more

BOOKS = {
    "tasks above replication": """
        SELECT count(*) FROM (SELECT task_id FROM annotate_judgement WHERE live GROUP BY task_id
        HAVING count(*) > (SELECT replication FROM annotate_task t WHERE t.id = task_id)) x""",
    "tasks judged twice by a rater": """
        SELECT count(*) FROM (SELECT 1 FROM annotate_judgement WHERE live GROUP BY task_id, rater_id
        HAVING count(*) > 1) x""",
    "tasks with a wrong count of slots": """
        SELECT count(*) FROM annotate_task t WHERE slots_taken <> (SELECT count(*) FROM annotate_assignment a
        WHERE a.task_id = t.id AND a.state IN ('leased', 'judged'))""",
    "judged assignments without a judgement": """
        SELECT count(*) FROM annotate_assignment a WHERE state = 'judged' AND NOT EXISTS (
        SELECT FROM annotate_judgement j WHERE j.task_id = a.task_id AND j.rater_id = a.rater_id)""",
}
# Once no lease holds a slot, what is taken is what was judged: other tasks would be handed out no more.
STUCK = """
    SELECT count(*) FROM annotate_task t WHERE slots_taken >= replication AND replication > (
    SELECT count(*) FROM annotate_judgement j WHERE j.task_id = t.id AND live)"""
UNFINISHED = """
    SELECT count(*) FROM annotate_task t WHERE replication > (
    SELECT count(*) FROM annotate_judgement j WHERE j.task_id = t.id AND live)"""
LOSSES = ["confirmed answers that are lost", "runs that are lost", "runs that are stuck", "raters that failed"]
ZERO = [*BOOKS, "tasks that are stuck", *LOSSES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raters", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300, help="how long processes are killed (default: 300)")
    parser.add_argument("--finish", type=float, default=60, help="how long raters go on afterwards (default: 60)")
    parser.add_argument("--pause", type=float, default=4, help="seconds between two kills, on average (default: 4)")
    parser.add_argument("--tasks", type=int, default=6000)
    parser.add_argument("--replication", type=int, default=5)
    parser.add_argument("--workers", type=int, default=3, help="web processes")
    parser.add_argument("--broker", choices=["redis", "pgmq"], default="redis", help="pgmq lies in PostgreSQL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    os.environ.update(
        RUN_LOST_AFTER_SECONDS="20", RUN_RESEND_SECONDS="20", WEB_CONCURRENCY=str(options.workers), LOG_LEVEL="ERROR"
    )
    if options.broker == "redis":
        os.environ["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{BROKER_PORT}/0"
    with palate_of_its_own() as folder:
        result = run(folder, options)
    for name, value in result.items():
        print(f"{value:8} {name}")
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    raise SystemExit(any(result[name] for name in ZERO))


def run(folder: Path, options: argparse.Namespace) -> dict[str, int]:
    from django.db import connection

    study = make_study(options)
    sessions = make_members(study, options.raters)
    manager = Manager(study.slug, make_manager(study))
    connection.close()
    with Processes(folder, options.broker) as processes:
        raters = [Rater(study.slug, session, options.seed + n) for n, session in enumerate(sessions)]
        chaos = Chaos(folder, processes, options)
        for thread in (*raters, manager, chaos):
            thread.start()
        chaos.join()
        for thread in (*raters, manager):
            thread.over.set()
        for thread in (*raters, manager):
            thread.join()
        # Those who walked away come back, now that nothing dies any more.
        expire_all()
        last = [Rater(study.slug, session, seed=-n, careful=True) for n, session in enumerate(sessions)]
        for rater in last:
            rater.start()
        until = time.monotonic() + options.finish
        for rater in last:
            rater.join(max(0.0, until - time.monotonic()))
            rater.over.set()
        for rater in last:
            rater.join()
        stuck = await_runs(manager.accepted)
        release_all(study)
    everybody = (*raters, *last)
    problems = [thread.problem for thread in (*everybody, manager) if thread.problem]
    for problem in problems[:3]:
        print(problem)
    confirmed = {submission for rater in everybody for submission in rater.confirmed}
    stored = {str(row[0]) for row in query("SELECT submission FROM annotate_judgement")}
    states = dict(query("SELECT state, count(*) FROM training_run GROUP BY state"))
    known = {row[0] for row in query("SELECT id FROM training_run")}
    return {
        "answers confirmed": len(confirmed),
        "answers sent again": sum(rater.again for rater in everybody),
        **{f"times that {name} was killed": count for name, count in sorted(chaos.kills.items())},
        "leases that ran out": chaos.expired,
        "runs confirmed": len(manager.accepted),
        **{f"runs that ended {state}": count for state, count in sorted(states.items())},
        **{name: int(query(sql)[0][0]) for name, sql in BOOKS.items()},
        "tasks that are stuck": int(query(STUCK)[0][0]),
        "tasks left unfinished": int(query(UNFINISHED)[0][0]),
        "confirmed answers that are lost": len(confirmed - stored),
        "runs that are lost": len(manager.accepted - known),
        "runs that are stuck": stuck,
        "raters that failed": len(problems),
    }


class Processes:
    """The web server, a worker for quick runs, the clock with its worker and the broker; each started again when it
    ends."""

    def __init__(self, folder: Path, broker: str) -> None:
        from palate import supervisor

        supervisor.MAX_RESTARTS = 10_000
        celery = [sys.executable, "-m", "celery", "-A", "palate", "worker", "--without-gossip", "--concurrency=1"]
        commands = {
            "web": [sys.executable, "-m", "gunicorn", "palate.wsgi", "--config", "python:palate.gunicorn",
                    "--bind", f"127.0.0.1:{PORT}"],
            "worker": [*celery, "-Q", "quick", "-n", "quick@%h"],
            "clock": [*celery, "-Q", "short", "-n", "short@%h", "-B", "-s", str(folder / "beat")],
        }  # fmt: skip
        if broker == "redis":
            server = shutil.which("redis-server") or shutil.which("valkey-server")
            if server is None:
                raise SystemExit("--broker redis: redis-server is not installed; try --broker pgmq")
            commands["broker"] = [server, "--port", str(BROKER_PORT), "--bind", "127.0.0.1", "--save", "",
                                  "--dir", str(folder)]  # fmt: skip
        self.all = supervisor.Supervisor(
            commands, folder=ROOT, environment=os.environ, log_folder=folder, stop_seconds=dict.fromkeys(commands, 5)
        )
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)

    def __enter__(self) -> "Processes":
        self.all.start()
        self._watching.start()
        wait_for(PORT, "/login/")
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._watching.join()
        self.all.stop()

    def _watch(self) -> None:
        with suppress(StopIteration):
            self.all.watch(also=self._stop_if_over)

    def _stop_if_over(self) -> None:
        if self._over.is_set():
            raise StopIteration


def make_study(options: argparse.Namespace) -> Any:
    from annotate.collection.leases import create_tasks
    from annotate.models.prompts import Prompt, Response, Split
    from annotate.studies.operations import create_study

    study = create_study(slug="crashes", name="Crashes", replication=options.replication)
    sets = []
    for n in range(options.tasks):
        prompt = Prompt.objects.create(study=study, external_id=str(n), text=f"prompt {n}", split=Split.TRAIN)
        sets.append(
            Response.objects.bulk_create(
                Response(prompt=prompt, external_id=str(r), text=f"response {r}", author_name="bench") for r in range(2)
            )
        )
    create_tasks(study=study, response_sets=sets)
    return study


def make_manager(study: Any) -> str:
    """The session cookie of the study's manager."""
    from annotate.models.members import Membership

    (session,) = make_members(study, 1, name="manager")
    Membership.objects.filter(study=study, user__username="manager-0").update(role="manager")
    return session


def query(sql: str) -> list[tuple[Any, ...]]:
    """Rows from a database that may just have been killed."""
    from django.db import Error, connection

    for _ in range(100):
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        except Error:
            connection.close()
            time.sleep(0.2)
    raise SystemExit("the database does not come back")


def expire_all() -> None:
    query("UPDATE annotate_assignment SET expires_at = now() - interval '1 second' WHERE state = 'leased'")


def release_all(study: Any) -> None:
    """Let every lease run out, and give back what they hold, as the next rater who comes does."""
    from annotate.collection.leases import lease_next, release_lease

    expire_all()
    if assignment := lease_next(rater=study.memberships.get(user__username="bench-0")):
        release_lease(assignment=assignment)


def await_runs(accepted: set[int]) -> int:
    """How many of these runs have not ended after RUN_PATIENCE."""
    until = time.monotonic() + RUN_PATIENCE
    while True:
        waiting = {row[0] for row in query("SELECT id FROM training_run WHERE state IN ('queued', 'running')")}
        if not waiting & accepted or time.monotonic() > until:
            return len(waiting & accepted)
        time.sleep(1)


class Chaos(threading.Thread):
    """Lets leases run out, and kills one process after another."""

    def __init__(self, folder: Path, processes: Processes, options: argparse.Namespace) -> None:
        super().__init__()
        self.folder, self.processes, self.options = folder, processes, options
        self.chance = random.Random(options.seed)
        self.kills: Counter[str] = Counter()
        self.expired = 0

    def run(self) -> None:
        victims: dict[str, Callable[[], None]] = {
            "a web process": self.kill_web, "PostgreSQL": self.kill_database,
            "the worker": lambda: self.kill("worker"), "the clock": lambda: self.kill("clock"),
        }  # fmt: skip
        if "broker" in self.processes.all.processes:
            victims["the broker"] = lambda: self.kill("broker")
        until = time.monotonic() + self.options.seconds
        while time.monotonic() < until:
            time.sleep(self.chance.uniform(0.2, 2 * self.options.pause))
            rows = query(
                "UPDATE annotate_assignment SET expires_at = now() - interval '1 second' "
                "WHERE state = 'leased' AND random() < 0.3 RETURNING id"
            )
            self.expired += len(rows)
            name = self.chance.choice(list(victims))
            with suppress(OSError, ValueError):  # it has just been killed and is not back yet
                victims[name]()
                self.kills[name] += 1

    def kill(self, name: str) -> None:
        os.killpg(self.processes.all.processes[name].pid, signal.SIGKILL)

    def kill_web(self) -> None:
        import psutil

        children = psutil.Process(self.processes.all.processes["web"].pid).children()
        # Sometimes the process that keeps the others.
        if children and self.chance.random() < 0.8:
            os.kill(self.chance.choice(children).pid, signal.SIGKILL)
        else:
            self.kill("web")

    def kill_database(self) -> None:
        os.kill(postmaster(self.folder / "postgres"), signal.SIGKILL)


class Client(threading.Thread):
    """Somebody at a browser, who asks until the server answers."""

    def __init__(self, slug: str, session: str, seed: int) -> None:
        super().__init__()
        self.slug, self.browser, self.chance = slug, Browser(PORT, session), random.Random(seed)
        self.over = threading.Event()
        self.again, self.problem = 0, ""

    def run(self) -> None:
        try:
            self.insist(lambda: (200, self.browser.get("/login/")))
            self.work()
        except Exception as error:
            self.problem = repr(error)

    def work(self) -> None:
        raise NotImplementedError

    def insist(self, ask: Callable[[], tuple[int, str]]) -> tuple[int, str]:
        """Ask until the server answers, as the outbox of the rating screen does."""
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError, HTTPException, KeyError):
                status, body = ask()
                if status < 500:
                    return status, body
            if time.monotonic() > until:
                raise RuntimeError("the server does not come back")
            self.again += 1
            time.sleep(self.chance.uniform(0.1, 0.4))


class Rater(Client):
    """Works until it is over or there is nothing left; `careful` ones only judge."""

    def __init__(self, slug: str, session: str, seed: int, *, careful: bool = False) -> None:
        super().__init__(slug, session, seed)
        self.careful = careful
        self.confirmed: set[str] = set()
        self.left_behind: list[str] = []

    def work(self) -> None:
        self.insist(lambda: (200, self.browser.get(f"/studies/{self.slug}/instructions/")))
        while not self.over.is_set() and (task := self.next_task()) is not None:
            self.work_on(task)

    def next_task(self) -> str | None:
        status, body = self.insist(
            lambda: self.browser.post(f"/studies/{self.slug}/rate/prefetch/", beyond=self.left_behind[-4:])
        )
        return held(body) if status == 200 else None

    def work_on(self, task: str) -> None:
        fate = 1.0 if self.careful else self.chance.random()
        if fate < 0.08:
            self.left_behind.append(task)
        elif fate < 0.12:
            self.insist(lambda: self.browser.post(f"/assignments/{task}/return/"))
        else:
            self.answer(task)

    def answer(self, task: str) -> None:
        submission = str(uuid.uuid4())
        answer = {"preference": self.chance.choice(["a1", "b2", "tie"]), "submission": submission}
        status, body = self.insist(lambda: self.browser.post(f"/assignments/{task}/judge/", **answer))
        # 409: the lease had run out and others were faster. The rater's other answer to the task may stand.
        if status == 200:
            self.confirmed.add(submission)
        elif status != 409:
            raise RuntimeError(f"{status}: {body[:200]}")


class Manager(Client):
    """Starts a run now and then: simulated raters who judge a few tasks."""

    def __init__(self, slug: str, session: str) -> None:
        super().__init__(slug, session, seed=0)
        self.accepted: set[int] = set()

    def work(self) -> None:
        address = f"/studies/{self.slug}/runs/new/simulate_raters/"
        while not self.over.wait(self.chance.uniform(1, 5)):
            # A manager does not know whether a run was queued whose answer did not come, and starts another one.
            status, location = self.insist(lambda: self.browser.submit(address, judgements=5, raters=2))
            if status == 422:  # no task has a free slot at the moment
                continue
            if status != 302:
                raise RuntimeError(f"{status}: no run was started")
            self.accepted.add(int(location.strip("/").split("/")[-1]))


if __name__ == "__main__":
    main()
