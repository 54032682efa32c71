"""The Palate that is attacked: `manage.py up` on a folder of its own, with a study, an owner and raters."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import urllib3
from crowd import ROOT, make_members, palate_of_its_own, postmaster

PASSWORD = "a long enough password"


@dataclass(frozen=True)
class Attack:
    """name: what is attacked and how. run: raises when the instance does not hold."""

    name: str
    run: Callable[["Instance"], None]


@dataclass
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class Visitor:
    """A browser, or a program with a token: keeps its cookies, sends forms as a page does, follows no redirect."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def get(self, path: str, *, seconds: float = 60, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers, seconds)

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, *, seconds: float = 60, **headers: str
    ) -> Answer:
        """Send a form; a value that is a pair of name and bytes is a file."""
        if "csrftoken" not in self.cookies and not self.token:
            self.get("/account/" if "sessionid" in self.cookies else "/login/")
        fields = dict(fields or {})
        files = any(isinstance(value, tuple) for value in fields.values())
        body, kind = urllib3.encode_multipart_formdata(fields) if files else (_encoded(fields), FORM)
        return self._ask("POST", path, body, {"Content-Type": kind, **headers}, seconds)

    def send(self, path: str, data: Any, *, method: str = "POST", seconds: float = 60, **headers: str) -> Answer:
        """Send JSON to the API; bytes are sent as they are."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self._ask(method, path, body, {"Content-Type": "application/json", **headers}, seconds)

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float) -> Answer:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if token := self.cookies.get("csrftoken"):
            sent["X-CSRFToken"] = token
        address = f"http://127.0.0.1:{self.port}{path}"
        answer = self.pool.request(method, address, body=body, headers=sent, timeout=seconds, redirect=False)
        for line in answer.headers.getlist("Set-Cookie"):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return Answer(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)


FORM = "application/x-www-form-urlencoded"


def _encoded(fields: Mapping[str, Any]) -> bytes:
    from urllib.parse import urlencode

    return urlencode(fields, doseq=True, errors="surrogatepass").encode()


class Instance:
    """The running Palate. `study` is one of its own for each attack that asks for one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-demo", "--port", str(self.port)],
                cwd=ROOT, env=self.environment(), stdout=log, stderr=log,
            )  # fmt: skip
        self.wait(lambda: "Palate runs at" in self.log.read_text(), "it did not start")
        self._studies = 0

    def environment(self, **changed: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return {**kept, "LANG": "C.UTF-8", "LOG_LEVEL": "ERROR", **changed}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def wait(self, condition: Callable[[], Any], problem: str, seconds: float = 120) -> Any:
        """What the condition returns once it is true."""
        until = time.monotonic() + seconds
        while not (value := condition()):
            if self.process.poll() is not None:
                raise AssertionError(f"it ended: {self.log.read_text()[-500:]}")
            if time.monotonic() > until:
                raise AssertionError(problem)
            time.sleep(0.2)
        return value

    def study(self, **settings: Any) -> Any:
        """A new study."""
        from annotate.models.studies import Study
        from annotate.studies.operations import create_study

        self._studies += 1
        study = create_study(slug=f"attacked-{self._studies}", name="Attacked")
        Study.objects.filter(pk=study.pk).update(require_reading=False, **settings)
        study.refresh_from_db()
        return study

    def tasks(self, study: Any, prompts: list[str], response: str = "An answer") -> list[Any]:
        """Tasks of two responses to each of these prompts."""
        from annotate.collection.leases import create_tasks
        from annotate.models.prompts import Prompt, Response, Split

        sets = []
        for n, text in enumerate(prompts):
            prompt = Prompt.objects.create(study=study, external_id=f"{n}", text=text, split=Split.TRAIN)
            pair = [
                Response(prompt=prompt, external_id=str(r), text=f"{response} {r}", author_name="x") for r in (1, 2)
            ]
            sets.append(Response.objects.bulk_create(pair))
        create_tasks(study=study, response_sets=sets)
        return list(study.tasks.order_by("pk"))

    def member(self, study: Any, role: str = "rater", *, superuser: bool = False) -> Visitor:
        """A new account that takes part in the study, signed in."""
        from annotate.models.accounts import User

        name = f"{study.slug}-{role}-{study.memberships.count()}"
        (session,) = make_members(study, 1, name=name)
        user = User.objects.get(username=f"{name}-0")
        user.is_superuser = superuser
        user.save()
        study.memberships.filter(user=user).update(role=role)
        return Visitor(self.port, {"sessionid": session})

    def program(self, study: Any) -> Visitor:
        """A program with a token of the study's owner that may do everything."""
        from annotate.api.tokens import make_token
        from annotate.models.accounts import User
        from annotate.models.api import Scope
        from annotate.models.members import Membership

        user = User.objects.create(username=f"{study.slug}-program")
        Membership.objects.create(study=study, user=user, role="manager")
        return Visitor(self.port, token=make_token(user=user, name="attack", scopes=Scope.values)[1])

    def stranger(self) -> Visitor:
        return Visitor(self.port)

    def command(self, *arguments: str, seconds: float = 120, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A management command on the instance's data."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment(**environment),
            capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip

    def database(self) -> int:
        return postmaster(self.folder / "postgres")

    def memory(self) -> int:
        """Bytes of the web processes."""
        import psutil

        processes = psutil.Process(self.process.pid).children(recursive=True)
        return sum(process.memory_info().rss for process in processes if "gunicorn" in " ".join(process.cmdline()))


@contextmanager
def live_instance() -> Iterator[Instance]:
    with palate_of_its_own() as folder:
        instance = Instance(folder)
        try:
            yield instance
        finally:
            instance.stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def check(condition: Any, problem: str) -> None:
    """Raises AssertionError with these words; an assert would lose them under -O."""
    if not condition:
        raise AssertionError(problem)
