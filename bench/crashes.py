"""Is the hand-out exact while processes die?

Raters work at once through the real web server: they answer, skip, give back and walk away. Meanwhile leases run
out, web processes and PostgreSQL itself are killed with kill -9. Like the rating screen, a rater sends an answer
again until the server has confirmed it. In the end the books are checked; exit status 1 when they do not balance.
"""

import argparse
import json
import random
import signal
import threading
import time
import uuid
from http.client import HTTPException
from pathlib import Path
from typing import Any

from crowd import Browser, held, make_members, palate_of_its_own, web_server

PORT = 8792
PATIENCE = 90  # seconds that a rater goes on sending

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
    "tasks that are not finished": """
        SELECT count(*) FROM annotate_task t WHERE replication <> (
        SELECT count(*) FROM annotate_judgement j WHERE j.task_id = t.id AND live)""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raters", type=int, default=64)
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--replication", type=int, default=5)
    parser.add_argument("--workers", type=int, default=3, help="web processes")
    parser.add_argument("--web-kills", type=int, default=8)
    parser.add_argument("--database-kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with palate_of_its_own() as folder:
        result = run(folder, options)
    for name, value in result.items():
        print(f"{value:8} {name}")
    if options.json:
        Path(options.json).write_text(json.dumps(result))
    raise SystemExit(any(result[name] for name in [*BOOKS, "confirmed answers that are lost", "raters that failed"]))


def run(folder: Path, options: argparse.Namespace) -> dict[str, int]:
    from django.db import connection

    study = make_study(options)
    sessions = make_members(study, options.raters)
    connection.close()
    with web_server(folder, PORT, workers=options.workers) as server:
        raters = [Rater(study.slug, session, options.seed + n) for n, session in enumerate(sessions)]
        chaos = Chaos(folder, server.pid, options)
        for thread in (*raters, chaos):
            thread.start()
        for rater in raters:
            rater.join()
        chaos.done.set()
        chaos.join()
        # Those who walked away come back, now that nothing dies any more, and finish.
        expire_all()
        last = [Rater(study.slug, session, seed=-n, careful=True) for n, session in enumerate(sessions)]
        for rater in last:
            rater.start()
        for rater in last:
            rater.join()
    problems = [rater.problem for rater in (*raters, *last) if rater.problem]
    for problem in problems[:3]:
        print(problem)
    confirmed = {submission for rater in (*raters, *last) for submission in rater.confirmed}
    return {
        "answers confirmed": len(confirmed),
        "answers sent again": sum(rater.again for rater in (*raters, *last)),
        "web processes killed": chaos.web,
        "times that PostgreSQL was killed": chaos.database,
        "leases that ran out": chaos.expired,
        **{name: int(query(sql)[0][0]) for name, sql in BOOKS.items()},
        "confirmed answers that are lost": len(
            confirmed - {str(row[0]) for row in query("SELECT submission FROM annotate_judgement")}
        ),
        "raters that failed": len(problems),
    }


def make_study(options: argparse.Namespace) -> Any:
    from annotate.prompts.models import Prompt, Response, Split
    from annotate.studies.operations import create_study
    from annotate.tasks.operations import create_tasks

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


class Chaos(threading.Thread):
    """Lets leases run out, and kills web processes and PostgreSQL in between."""

    def __init__(self, folder: Path, server: int, options: argparse.Namespace) -> None:
        super().__init__()
        self.folder, self.server, self.chance = folder, server, random.Random(options.seed)
        self.kills = ["web"] * options.web_kills + ["database"] * options.database_kills
        self.chance.shuffle(self.kills)
        self.done = threading.Event()
        self.web = self.database = self.expired = 0

    def run(self) -> None:
        while not self.done.wait(0.7):
            rows = query(
                "UPDATE annotate_assignment SET expires_at = now() - interval '1 second' "
                "WHERE state = 'leased' AND random() < 0.3 RETURNING id"
            )
            self.expired += len(rows)
            if self.kills:
                getattr(self, f"kill_{self.kills.pop()}")()

    def kill_web(self) -> None:
        import psutil

        workers = psutil.Process(self.server).children()
        if workers:
            self.chance.choice(workers).send_signal(signal.SIGKILL)
            self.web += 1

    def kill_database(self) -> None:
        import psutil

        pid = int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])
        psutil.Process(pid).send_signal(signal.SIGKILL)
        self.database += 1


class Rater(threading.Thread):
    """Works until there is nothing left; `careful` ones only judge."""

    def __init__(self, slug: str, session: str, seed: int, *, careful: bool = False) -> None:
        super().__init__()
        self.slug, self.careful = slug, careful
        self.browser, self.chance = Browser(PORT, session), random.Random(seed)
        self.confirmed: set[str] = set()
        self.left_behind: list[str] = []
        self.again, self.problem = 0, ""

    def run(self) -> None:
        try:
            self.insist(lambda: (200, self.browser.get("/login/")))
            self.insist(lambda: (200, self.browser.get(f"/studies/{self.slug}/instructions/")))
            while (task := self.next_task()) is not None:
                self.work_on(task)
        except Exception as error:
            self.problem = repr(error)

    def next_task(self) -> str | None:
        status, body = self.insist(
            lambda: self.browser.post(f"/studies/{self.slug}/rate/ahead/", beyond=self.left_behind[-4:])
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

    def insist(self, ask: Any) -> tuple[int, str]:
        """Ask until the server answers, as the outbox of the rating screen does."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                status, body = ask()
                if status < 500:
                    return status, body
            except (OSError, HTTPException, KeyError):
                pass
            if time.monotonic() > until:
                raise RuntimeError("the server does not come back")
            self.again += 1
            time.sleep(self.chance.uniform(0.1, 0.4))


if __name__ == "__main__":
    main()
