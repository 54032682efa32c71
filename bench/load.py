"""How many raters a web server serves: the judging cycle over HTTP, on the loopback interface only, as fast as it goes.

    .venv/bin/python bench/load.py --postgres /usr/lib/postgresql/15/bin [--label-studio PYTHON]

Each rater is a thread that asks for the next task and submits an answer, again and again, until the time is over.
Prints requests a second, latencies, and queries a request. With --label-studio, the Python of an environment that has
it (`pip install label-studio gunicorn`), the same follows for Label Studio on the same PostgreSQL, with as many web
processes: its own requests for the next task of a project and for an annotation of two texts. Then each exports what
was judged before. Label Studio needs the extension pg_trgm, which the PostgreSQL of `make run` lacks: hence --postgres,
the folder of a server's programs, of which the bench starts one of its own.

Queries are counted by PostgreSQL itself: with log_statement = all for a rater alone, in a turn of its own.
"""

import argparse
import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from crowd import Browser, held, make_members, palate_of_its_own, postmaster, processor_seconds, wait_for, web_server

PORT, PEER_PORT = 8795, 8796
COUNTED_CYCLES = 50
STATEMENT = re.compile(r"LOG:  (?:execute [^:]*|statement): *(.{0,20})")
ANSWER = [{"from_name": "better", "to_name": "a", "type": "pairwise", "value": {"selected": "left"}}]
# What opens and closes a transaction asks for nothing.
FRAMES = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
TEXT = "The quick brown fox jumps over the lazy dog, again and again, until both are tired of it. " * 3


@dataclass
class Cycle:
    """What one rater does again and again: `next_task` gives what `submit` answers."""

    next_task: Callable[[], Any]
    submit: Callable[[Any], None]


@dataclass
class Measurements:
    """Seconds of each kind of request of a turn, and what went wrong."""

    wall: float = 0.0
    processor: list[float] = field(default_factory=list)  # of the web server and of PostgreSQL
    times: dict[str, list[float]] = field(default_factory=lambda: {"next task": [], "submit": []})
    problems: list[str] = field(default_factory=list)

    @property
    def cycles(self) -> float:
        return len(self.times["submit"]) / self.wall

    @property
    def cycles_a_processor_second(self) -> float:
        return len(self.times["submit"]) / sum(self.processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raters", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--tasks", type=int, default=20_000, help="tasks of each study or project")
    parser.add_argument("--exported", type=int, default=10_000, help="judgements to export")
    parser.add_argument("--postgres", required=True, metavar="FOLDER", help="of initdb and pg_ctl, with contrib")
    parser.add_argument("--label-studio", metavar="PYTHON", help="the Python of an environment with Label Studio")
    options = parser.parse_args()
    with postgres(Path(options.postgres)) as server, palate_of_its_own(database_url=server.url("palate")) as folder:
        own, own_export = palate(folder, server, options)
        if options.label_studio:
            peer, peer_export = label_studio(folder, server, options)
            print(f"\nPalate to Label Studio: judging cycles a second {own.cycles / peer.cycles:.1f}", end=", ")
            print(f"a processor second {own.cycles_a_processor_second / peer.cycles_a_processor_second:.1f}", end=", ")
            print(f"exported judgements a second {own_export / peer_export:.1f}")


@dataclass
class Server:
    """A PostgreSQL on a unix socket in its folder, where its log lies, too."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgres://postgres@{quote(str(self.folder), safe='')}/{database}"

    @property
    def pid(self) -> int:
        return postmaster(self.folder / "data")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True)

    @contextmanager
    def every_statement_logged(self) -> Iterator[Callable[[], int]]:
        """A function that says how many statements the log holds, without those that frame transactions."""

        def statements() -> int:
            found = STATEMENT.findall((self.folder / "log").read_text())
            return sum(not words.upper().startswith(FRAMES) for words in found)

        with self.connect() as connection:
            for change in ("SET log_statement = 'all'", "RESET log_statement"):
                connection.execute(f"ALTER SYSTEM {change}")
                connection.execute("SELECT pg_reload_conf()")
                time.sleep(1)
                if change.startswith("SET"):
                    yield statements


@contextmanager
def postgres(programs: Path) -> Iterator[Server]:
    """A server of its own, as it comes, with room for both web servers' connections."""
    user = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="palate-bench-postgres-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        run = functools.partial(subprocess.run, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        data = str(folder / "data")
        run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"])
        options = f"-k {folder} -c listen_addresses='' -c max_connections=200"
        run([programs / "pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start"])
        try:
            server = Server(folder)
            with server.connect() as connection:
                for database in ("palate", "labelstudio"):
                    connection.execute(f"CREATE DATABASE {database}")
            yield server
        finally:
            run([programs / "pg_ctl", "-D", data, "-w", "-m", "fast", "stop"])


def palate(folder: Path, server: Server, options: argparse.Namespace) -> tuple[Measurements, float]:
    """What the raters met, and exported judgements a second."""
    from django.db import connection

    study, sessions = make_study("load", options.tasks, options.raters + 1)
    make_judged(folder, options.exported)
    connection.close()
    with web_server(folder, PORT) as web:
        cycles = [palate_cycle(study.slug, session) for session in sessions]
        report = turn("Palate", cycles[:-1], options.seconds, [web.pid, server.pid])
        queries(server, cycles[-1])
        rate = export("Palate", PORT, "/studies/judged/export/raw.jsonl", sessions[-1], options.exported)
    return report, rate


def make_study(slug: str, tasks: int, raters: int) -> tuple[Any, list[str]]:
    from annotate.collection.leases import create_tasks
    from annotate.models.prompts import Prompt, Response, Split
    from annotate.studies.operations import create_study

    study = create_study(slug=slug, name=slug, replication=1)
    prompts = Prompt.objects.bulk_create(
        Prompt(study=study, external_id=str(n), text=f"{n} {TEXT}", split=Split.TRAIN) for n in range(tasks)
    )
    responses = Response.objects.bulk_create(
        Response(prompt=prompt, external_id=side, text=f"{side} {TEXT}", author_name=side)
        for prompt in prompts
        for side in "ab"
    )
    create_tasks(study=study, response_sets=[list(pair) for pair in zip(responses[::2], responses[1::2], strict=True)])
    return study, make_members(study, raters)


def make_judged(folder: Path, count: int) -> None:
    """A study with so many judgements, which the last of the raters manages."""
    from annotate.exchange.importers.preferences import import_preferences
    from annotate.models.accounts import User
    from annotate.models.members import Membership
    from annotate.models.studies import Study

    file = folder / "judged.jsonl"
    with file.open("w") as out:
        for n in range(count):
            row = {"prompt": f"{n} {TEXT}", "chosen": f"a {TEXT}", "rejected": f"b {TEXT}"}
            out.write(json.dumps(row) + "\n")
    import_preferences(slug="judged", path=file)
    manager = User.objects.order_by("-id").first()
    Membership.objects.create(study=Study.objects.get(slug="judged"), user=manager, role="manager")


def palate_cycle(slug: str, session: str) -> Cycle:
    """As the screen's script does it: the next task comes ahead, and its answer goes in the background."""
    browser = Browser(PORT, session)
    browser.get(f"/studies/{slug}/rate/")

    def next_task() -> str:
        return held(_good(browser.post(f"/studies/{slug}/rate/prefetch/")))

    def submit(assignment: str) -> None:
        _good(browser.post(f"/assignments/{assignment}/judge/", preference="a1", seconds=5))

    return Cycle(next_task, submit)


def _good(answer: tuple[int, str]) -> str:
    status, body = answer
    if not 200 <= status < 300:
        raise RuntimeError(f"status {status}: {body[:200]}")
    return body


def turn(name: str, cycles: list[Cycle], seconds: float, servers: list[int]) -> Measurements:
    """All raters at once for so long; `servers` are the processes of the web server and of PostgreSQL."""
    before = [processor_seconds(pid) for pid in servers]
    report, until = Measurements(), time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=[cycle, report, until]) for cycle in cycles]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.wall = time.perf_counter() - started
    report.processor = [processor_seconds(pid) - own for pid, own in zip(servers, before, strict=True)]
    if report.problems:
        raise SystemExit(f"{name}: {len(report.problems)} raters failed: {report.problems[0]}")
    requests = sum(map(len, report.times.values()))
    print(f"\n{name}: {len(cycles)} raters, {report.wall:.0f} s, {requests / report.wall:.1f} requests and", end=" ")
    print(f"{report.cycles:.1f} judging cycles a second")
    web, database = (1000 * seconds / len(report.times["submit"]) for seconds in report.processor)
    print(f"  processor time a cycle: web server {web:.0f} ms, PostgreSQL {database:.0f} ms")
    for kind, times in report.times.items():
        cuts = [1000 * cut for cut in statistics.quantiles(times, n=100)]
        print(f"  {kind:9} median {cuts[49]:6.0f} ms, p95 {cuts[94]:6.0f} ms, p99 {cuts[98]:6.0f} ms", flush=True)
    return report


def work(cycle: Cycle, report: Measurements, until: float) -> None:
    try:
        while time.monotonic() < until:
            started = time.perf_counter()
            task = cycle.next_task()
            got = time.perf_counter()
            cycle.submit(task)
            report.times["submit"].append(time.perf_counter() - got)
            report.times["next task"].append(got - started)
    except Exception as error:
        report.problems.append(repr(error))


def queries(server: Server, cycle: Cycle) -> None:
    """Statements that PostgreSQL runs for one rater alone, by its own log."""
    counts: dict[str, list[int]] = {"next task": [], "submit": []}
    with server.every_statement_logged() as statements:
        for _ in range(COUNTED_CYCLES):
            before = statements()
            task = cycle.next_task()
            between = statements()
            cycle.submit(task)
            counts["next task"].append(between - before)
            counts["submit"].append(statements() - between)
    report = ", ".join(f"{kind} {statistics.median(own):.0f}" for kind, own in counts.items())
    print(f"  queries a request (median of {COUNTED_CYCLES}): {report}", flush=True)


def export(name: str, port: int, path: str, cookie: str, judgements: int) -> float:
    """Judgements a second of an export by the web server, which must hold all of them."""
    connection = HTTPConnection("127.0.0.1", port, timeout=600)
    started = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": f"sessionid={cookie}"})
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - started
    if answer.status != 200 or body.count(b"The quick") < judgements:
        raise SystemExit(f"{name}: status {answer.status}, {len(body)} bytes: {body[:300]!r}")
    rate = judgements / seconds
    print(f"  export of {judgements:,} judgements: {seconds:.1f} s, {rate:,.0f} a second, {len(body) / 1e6:.1f} MB")
    return rate


def label_studio(folder: Path, server: Server, options: argparse.Namespace) -> tuple[Measurements, float]:
    """The same two figures of Label Studio, in a database of its own on the same server."""
    python = Path(options.label_studio).absolute()
    environment = label_studio_environment(folder, server)
    place = subprocess.run(
        [python, "-c", "import label_studio; print(label_studio.__path__[0])"],
        capture_output=True, text=True, check=True, cwd=folder,
    ).stdout.strip()  # fmt: skip
    environment["PYTHONPATH"] = place
    quiet = {"cwd": place, "env": environment, "stderr": subprocess.DEVNULL}
    subprocess.run([python, "manage.py", "migrate"], check=True, stdout=subprocess.DEVNULL, **quiet)
    numbers = [str(number) for number in (options.raters + 1, options.tasks, options.exported)]
    script = Path(__file__).with_name("label_studio_project.py")
    made = subprocess.run([python, script, *numbers, TEXT], check=True, stdout=subprocess.PIPE, text=True, **quiet)
    report = json.loads(made.stdout.splitlines()[-1])
    command = [python, "-m", "gunicorn", "core.wsgi", "--bind", f"127.0.0.1:{PEER_PORT}", "--workers", "2"]
    web = subprocess.Popen([*command, "--threads", "4"], stdout=subprocess.DEVNULL, **quiet)
    try:
        wait_for(PEER_PORT, "/user/login/", seconds=120)
        cycles = [label_studio_cycle(report["project"], cookie) for cookie in report["cookies"]]
        result = turn("Label Studio", cycles[:-1], options.seconds, [web.pid, server.pid])
        queries(server, cycles[-1])
        path = f"/api/projects/{report['judged']}/export?exportType=JSON"
        return result, export("Label Studio", PEER_PORT, path, report["cookies"][0], options.exported)
    finally:
        web.terminate()
        web.wait()


def label_studio_environment(folder: Path, server: Server) -> dict[str, str]:
    """It reports nothing to anybody, looks for no new version, and keeps its files below the bench's folder."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    database = {"NAME": "labelstudio", "USER": "postgres", "PASSWORD": "", "HOST": str(server.folder), "PORT": "5432"}
    return (
        kept
        | {f"POSTGRE_{name}": value for name, value in database.items()}
        | {
            "DJANGO_DB": "default",
            "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
            "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "label-studio"),
            "SECRET_KEY": "bench",
            "DEBUG": "false",
            "LOG_LEVEL": "ERROR",
            **dict.fromkeys(("COLLECT_ANALYTICS", "LATEST_VERSION_CHECK"), "false"),
            **dict.fromkeys(("SENTRY_DSN", "FRONTEND_SENTRY_DSN"), ""),
        }
    )


def label_studio_cycle(project: int, cookie: str) -> Cycle:
    """As its labelling screen does it: the next task of the project, then an annotation of it."""
    headers = {"Cookie": f"sessionid={cookie}", "Content-Type": "application/json"}

    def ask(method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection("127.0.0.1", PEER_PORT, timeout=60)
        try:
            connection.request(method, path, json.dumps(fields) if fields else None, headers)
            answer = connection.getresponse()
            return json.loads(_good((answer.status, answer.read().decode())))
        finally:
            connection.close()

    def submit(task: int) -> None:
        ask("POST", f"/api/tasks/{task}/annotations/?project={project}", {"result": ANSWER, "lead_time": 5})

    return Cycle(lambda: ask("GET", f"/api/projects/{project}/next")["id"], submit)


if __name__ == "__main__":
    main()
