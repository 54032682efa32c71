"""Real brokers on loopback, each a process of the test's own in a folder of the test's own."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import kombu

from tests.tools import program

SECONDS = 60
# Debian's rabbitmq-server in the path changes to a user and folders of its own; this is what it calls.
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


@contextmanager
def redis(folder: Path, port: int = 0) -> Iterator[str]:
    """Without persistence: what is in its queues is gone when it ends."""
    server, port = program("redis-server", "valkey-server", package="redis-server"), port or free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with running(command, folder):
        yield answering(f"redis://127.0.0.1:{port}/0", folder)


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    server = program(RABBITMQ, package="rabbitmq-server")
    port, distribution, names = free_port(), free_port(), free_port()
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server instead of watching over it
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"palate{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
    }
    with ExitStack() as both:
        # Erlang would start this one itself and leave it behind.
        both.enter_context(running([program("epmd", package="erlang-base")], folder, environment))
        both.enter_context(running([server], folder, environment))
        yield answering(f"amqp://guest:guest@127.0.0.1:{port}//", folder)


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    with (folder / "broker.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answering(url: str, folder: Path) -> str:
    """The url, once the broker answers there."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with kombu.Connection(url, connect_timeout=2) as connection:
            try:
                connection.connect()
            except connection.connection_errors:
                time.sleep(0.2)
            else:
                return url
    raise AssertionError(f"no broker at {url}:\n{(folder / 'broker.log').read_text()}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
