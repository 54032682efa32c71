"""The real gunicorn with Palate's worker class: slow clients are cut off, and the others never notice them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack

import pytest
from django.conf import settings

from tests.training.brokers import free_port

THREADS = 4
# An application that answers with what it was sent, and limits that a test can wait for.
APPLICATION = """
import hashlib, json, time
from palate import web_worker

web_worker.REQUEST_SECONDS = web_worker.BODY_SECONDS = 2.0
web_worker.SEND_SECONDS = 2.0
web_worker.BODY_BYTES_PER_SECOND = 1_000_000

def application(environ, start_response):
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"x" * 1_000_000 for _ in range(100))
    try:
        body = environ["wsgi.input"].read()
        said = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        start_response("200 OK", [("Content-Type", "application/json")])
    except OSError as error:
        said = {"error": type(error).__name__}
        start_response("400 Bad Request", [("Content-Type", "application/json")])
    return [json.dumps({"path": environ["PATH_INFO"], **said}).encode()]
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Where one process with THREADS threads listens."""
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    (folder / "slow_test_app.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "slow_test_app:application", "--config", "python:palate.gunicorn"]
    environment = {
        **os.environ, "WEB_CONCURRENCY": "1", "WEB_THREADS": str(THREADS),
        "PYTHONPATH": f"{folder}:{settings.BASE_DIR}",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                answered(port)
                break
            except OSError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield port
        # Not one of these clients is an error of the server's.
        assert "Traceback" not in (folder / "log").read_text()
    finally:
        server.terminate()
        server.wait(60)


def answered(port, body=None):
    # 100 s: a starved server never answers.
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=100) as answer:
        return json.loads(answer.read())


def connected(port, *, sent):
    client = socket.create_connection(("127.0.0.1", port), timeout=100)
    client.sendall(sent)
    return client


def read_until(client, words):
    received = b""
    while words not in received:
        piece = client.recv(10_000)
        assert piece, received
        received += piece
    return received


SLOW = {
    "idle": b"",
    "half a header": b"GET / HTTP/1.1\r\nHost: here\r\nX-Slow: ",
    "no body": b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 50\r\n\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 50\r\n\r\nabc",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_slow_clients_hold_no_thread_and_are_cut_off(port, sent):
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(connected(port, sent=sent)) for _ in range(5 * THREADS)]
        assert answered(port, b"now")["length"] == 3
        # None was answered or cut off before the one that came last, so none held it up.
        for client in clients:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
            client.setblocking(True)
        for client in clients:
            assert client.recv(10_000) == b""


@pytest.mark.parametrize("piece", [b"X", b"\r\nX-More: 1"])
def test_a_client_that_trickles_is_cut_off(port, piece):
    with connected(port, sent=SLOW["half a header"]) as client, pytest.raises(OSError, match=r"reset|Broken pipe"):
        trickle(client, piece)


def trickle(client, piece):
    for _ in range(200):
        client.sendall(piece)
        time.sleep(0.1)


@pytest.mark.parametrize("headers", [b"Content-Length: 3000000", b"Transfer-Encoding: chunked"])
def test_a_large_body_that_stops_is_cut_off_and_never_taken_for_whole(port, headers):
    start = b"1000\r\n" if b"chunked" in headers else b""
    with connected(
        port, sent=b"POST / HTTP/1.1\r\nHost: here\r\n" + headers + b"\r\n\r\n" + start + b"x" * 100
    ) as client:
        answer = client.recv(10_000)
        assert b"200 OK" not in answer
        while client.recv(10_000):
            pass
    assert answered(port)["length"] == 0


def test_who_does_not_read_holds_no_thread_for_ever(port):
    with ExitStack() as open_ones:
        for _ in range(2 * THREADS):
            open_ones.enter_context(connected(port, sent=b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n"))
        assert answered(port, b"now")["length"] == 3


@pytest.mark.parametrize("length", [0, 1, 60_000, 65_536, 65_537, 3_000_000])
def test_bodies_come_whole(port, length):
    body = os.urandom(length)
    assert answered(port, body)["length"] == length


def test_one_connection_carries_many_requests_in_any_pieces(port):
    request = b"POST /%d HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"
    with connected(port, sent=b"") as client:
        for number in range(20):
            whole = request % number
            for start in range(0, len(whole), 1 + number):
                client.sendall(whole[start : start + 1 + number])
            read_until(client, b'"path": "/%d", "length": 4' % number)
        # Two at once.
        client.sendall(request % 98 + request % 99)
        assert read_until(client, b"/99").count(b"200 OK") == 2


def test_who_expects_to_be_asked_for_the_body_is_asked(port):
    with connected(port, sent=SLOW["no body"].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")) as client:
        read_until(client, b"100 Continue")
        client.sendall(b"x" * 50)
        read_until(client, b'"length": 50')


@pytest.mark.parametrize("sent", [b"\x00" * 70_000, b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"a" * 80_000 + b"\r\n\r\n"])
def test_what_is_no_request_is_refused(port, sent):
    with connected(port, sent=sent) as client:
        answer = client.recv(10_000)
    assert answer.split()[1] in (b"400", b"414", b"431")
    assert answered(port)["length"] == 0
