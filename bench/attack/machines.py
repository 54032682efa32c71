"""Dead databases, brokers and workers; clients that never send; what an operator gets wrong."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from crowd import ROOT

from attack.instance import Attack, Instance, check


def idle_connections(instance: Instance) -> None:
    for sent in (b"", b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", POST_WITHOUT_BODY):
        with ExitStack() as open_ones:
            for _ in range(60):
                client = open_ones.enter_context(socket.create_connection(("127.0.0.1", instance.port)))
                client.sendall(sent)
            check(instance.stranger().get("/login/", seconds=15).status == 200, "sixty slow clients starve a page")


POST_WITHOUT_BODY = b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\nlogin="


def slow_clients_are_cut_off(instance: Instance) -> None:
    with socket.create_connection(("127.0.0.1", instance.port)) as client:
        client.settimeout(40)
        client.sendall(b"GET /login/ HTTP/1.1\r\nX-Slow: ")
        check(client.recv(1) == b"", "a header that never ends is waited for")


def killed_database(instance: Instance) -> None:
    os.kill(instance.database(), signal.SIGKILL)
    instance.wait(lambda: ready(instance), "PostgreSQL does not come back", seconds=60)


def ready(instance: Instance) -> bool:
    try:
        return instance.stranger().get("/readyz").status == 200
    except Exception:
        return False


def killed_web_server_and_workers(instance: Instance) -> None:
    import psutil

    before = {child.pid for child in psutil.Process(instance.process.pid).children()}
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        now = {child.pid for child in psutil.Process(instance.process.pid).children()}
        return len(now) == len(before) and not now & before

    instance.wait(back, "processes are not started again")
    instance.wait(lambda: ready(instance), "the web server does not come back")


def second_start(instance: Instance) -> None:
    ended = instance.command("up", "--no-demo")
    check(ended.returncode == 1, "a second server runs on the same data")
    check("already runs" in ended.stderr and "Traceback" not in ended.stderr, ended.stderr[-200:])


def bad_secret_key(instance: Instance) -> None:
    folder = instance.folder / "other"
    folder.mkdir()
    for content in (b"", b"short", b"\xff" * 60):
        (folder / "secret_key").write_bytes(content)
        ended = instance.command("check", PALATE_VAR=str(folder))
        check(
            ended.returncode and len(ended.stderr.strip().splitlines()) == 1, f"key {content!r}: {ended.stderr[-200:]}"
        )


def production_without_a_database(instance: Instance) -> None:
    key = "q8Zt-3bYw_1LrVn5xJ0cKdM7gHsF2aEoTiUpR9vB4mNzXyWlQh6"
    ended = instance.command("check", PRODUCTION="1", SECRET_KEY=key, ALLOWED_HOSTS="palate.example.org")
    check(ended.returncode and "DATABASE_URL" in ended.stderr, "production starts without DATABASE_URL")


def database_without_tables(instance: Instance) -> None:
    folder = instance.folder / "empty"
    folder.mkdir()
    folder.chmod(0o755)
    ended = instance.command("create_study", "shop", PALATE_VAR=str(folder))
    check("run: manage.py migrate" in ended.stderr and "Traceback" not in ended.stderr, ended.stderr[-300:])


def broker_that_is_away(instance: Instance) -> None:
    from core import task_queue
    from training.models import Run
    from training.runs import operations

    study = instance.study()
    instance.tasks(study, ["What?"])
    send_task = task_queue.send_task

    def refused(*_: object) -> None:
        raise ConnectionRefusedError("the broker is away")

    task_queue.send_task = refused
    try:
        run = operations.queue_run(kind="simulate_raters", study=study, values={"judgements": 1, "raters": 1})
    finally:
        task_queue.send_task = send_task
    check(Run.objects.get(pk=run.pk).unsent, "a run that no broker took counts as sent")
    instance.wait(lambda: Run.objects.get(pk=run.pk).ended, "a run that the broker did not take never starts")


def silent_webhook(instance: Instance) -> None:
    from annotate.models.webhooks import Webhook
    from annotate.webhooks.operations import announce
    from training.models import Run
    from training.runs import operations

    study = instance.study()
    instance.tasks(study, ["What?"])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        Webhook.objects.create(study=study, url=address, events=["run.ended"], secret="x")
        for number in range(50):
            announce(study_id=study.pk, event="run.ended", run=number)
        run = operations.queue_run(kind="simulate_raters", study=study, values={"judgements": 1, "raters": 1})
        instance.wait(lambda: Run.objects.get(pk=run.pk).ended, "a silent webhook holds up a run", seconds=60)


def killed_worker(instance: Instance) -> None:
    import psutil

    from training.models import Run, RunState
    from training.runs import operations

    study = instance.study(replication=12)
    instance.tasks(study, [f"What is {n}?" for n in range(60)])
    run = operations.queue_run(kind="simulate_raters", study=study, values={"judgements": 700, "raters": 12})
    instance.wait(lambda: Run.objects.get(pk=run.pk).state == RunState.RUNNING, "the run does not start")
    for child in psutil.Process(instance.process.pid).children():
        if "quick@" in " ".join(child.cmdline()):
            os.killpg(child.pid, signal.SIGKILL)
    instance.wait(lambda: Run.objects.get(pk=run.pk).ended, "the run of a killed worker is stuck", seconds=240)
    check(Run.objects.get(pk=run.pk).state == RunState.DONE, "the run of a killed worker was not done")


def full_disk(instance: Instance) -> None:
    """A training that may write no file larger than 300 kB, as on a disk that fills up."""
    study = instance.study()
    shell = f"ulimit -f 300; exec {sys.executable} manage.py pretrain --study {study.slug} --corpus demo --max-steps 4"
    ended = subprocess.run(
        ["bash", "-c", shell], cwd=ROOT, env=instance.environment(), capture_output=True, text=True, timeout=300
    )
    run = study.runs.get()
    check(ended.returncode and run.state == "failed" and run.error, f"the run is {run.state}: {ended.stderr[-200:]}")
    check(not study.model_versions.exists(), "half a model is registered")
    left = [path for path in (instance.folder / "models").rglob("*") if study.slug in str(path) and path.is_file()]
    check(not left, f"left behind: {left[:2]}")


def probes_by_address(instance: Instance) -> None:
    for path in ("/healthz", "/readyz"):
        check(instance.stranger().get(path, Host="10.1.2.3").status == 200, f"{path} does not answer by IP")
    check(instance.stranger().get("/login/", Host="10.1.2.3").status == 400, "any host is taken")


def backup_and_restore(instance: Instance) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE attacked_restore")
    host = connection.get_connection_params()["host"].replace("/", "%2F")
    address = f"postgres://postgres@{host}:5432/attacked_restore"
    ended = instance.command("backup", str(instance.folder / "backup"))
    check(ended.returncode == 0, ended.stderr[-300:])
    binaries = programs(instance)
    restored = subprocess.run(
        [sys.executable, "manage.py", "restore", str(instance.folder / "backup")],
        cwd=ROOT, capture_output=True, text=True,
        env={**instance.environment(), "DATABASE_URL": address, "PATH": f"{binaries}:/usr/bin:/bin"},
    )  # fmt: skip
    check(restored.returncode == 0 and "all as they were" in restored.stdout, restored.stderr[-300:])


def programs(instance: Instance) -> Path:
    from core.embedded_postgres.server import programs

    return programs(instance.folder / "postgres")


def quiet_database_log(instance: Instance) -> None:
    log = instance.folder / "postgres" / "log"
    before = log.stat().st_size
    time.sleep(20)
    with log.open() as lines:
        lines.seek(before)
        errors = [line for line in lines if "ERROR" in line]
    check(not errors, f"{len(errors)} errors in 20 s: {errors[:1]}")


def append_only_log(instance: Instance) -> None:
    from django.db import IntegrityError, connection

    from annotate.audit.operations import record

    study = instance.study()
    record(study=study, user=None, action="changed", subject="settings")
    for change in ("UPDATE annotate_entry SET actor = 'x'", "DELETE FROM annotate_entry"):
        try:
            with connection.cursor() as cursor:
                cursor.execute(change)
        except IntegrityError:
            continue
        raise AssertionError(f"the database lets pass: {change}")


def locked_packages(instance: Instance) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "--noconftest", "tests/palate/test_supply_chain.py"],
        cwd=ROOT, capture_output=True, text=True, env={**instance.environment(), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    check(ended.returncode == 0, ended.stdout[-300:])


ATTACKS = [
    Attack("5 idle connections, slow headers and slow bodies", idle_connections),
    Attack("5 a header that never ends", slow_clients_are_cut_off),
    Attack("11 an entry of the log is changed or deleted", append_only_log),
    Attack("14 a broker that is away", broker_that_is_away),
    Attack("14 a webhook that never answers", silent_webhook),
    Attack("14 a killed worker", killed_worker),
    Attack("15 kill -9 of PostgreSQL", killed_database),
    Attack("15 kill -9 of the web server and all workers", killed_web_server_and_workers),
    Attack("15 a second start on the same data", second_start),
    Attack("15 a bad secret_key", bad_secret_key),
    Attack("15 production without DATABASE_URL", production_without_a_database),
    Attack("15 a database without tables", database_without_tables),
    Attack("17 probes by IP, pages by a foreign name", probes_by_address),
    Attack("17 backup, restore and compare", backup_and_restore),
    Attack("17 errors in PostgreSQL's log", quiet_database_log),
    Attack("18 a full disk", full_disk),
    Attack("19 unlocked packages", locked_packages),
]
