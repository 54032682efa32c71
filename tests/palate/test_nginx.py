"""deploy/nginx.conf as it is shipped, in a real nginx before a real gunicorn."""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from django.conf import settings

from tests.tools import program
from tests.training.brokers import free_port

APPLICATION = """
import json

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Security-Policy", "default-src 'none'")])
    return [json.dumps({"path": environ["PATH_INFO"], "length": len(body), "headers": headers}).encode()]
"""
MAIN = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/palate.conf;
}}
"""


class Proxy:
    """nginx with the shipped configuration; ports, certificate and the time for slow clients are the test's own."""

    def __init__(self, folder):
        self.plain, self.secure, upstream = free_port(), free_port(), free_port()
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            [program("openssl", package="openssl"), *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"],
             *("-subj", "/CN=palate.example.org", "-keyout", str(key), "-out", str(certificate))],
            check=True, capture_output=True,
        )  # fmt: skip
        text = (settings.BASE_DIR / "deploy/nginx.conf").read_text()
        for old, new in {
            r"listen 80;": f"listen 127.0.0.1:{self.plain};",
            r"listen 443 ssl http2;": f"listen 127.0.0.1:{self.secure} ssl http2;",
            r"\n *listen \[::\]:.*;": "",
            r"/etc/ssl/palate/fullchain\.pem": str(certificate),
            r"/etc/ssl/palate/privkey\.pem": str(key),
            r"127\.0\.0\.1:8000": f"127.0.0.1:{upstream}",
            r"(client_\w+_timeout) 15s": r"\1 2s",
        }.items():
            text, count = re.subn(old, new, text)
            assert count, old
        (folder / "palate.conf").write_text(text)
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        (folder / "proxied_test_app.py").write_text(APPLICATION)
        nginx = [program("nginx", package="nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        subprocess.run([*nginx, "-t"], check=True, capture_output=True)
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:palate.gunicorn"]
        environment = {**os.environ, "WEB_CONCURRENCY": "1", "PYTHONPATH": f"{folder}:{settings.BASE_DIR}"}
        log = (folder / "log").open("wb")
        self.processes = [
            subprocess.Popen([*nginx, "-g", "daemon off;"], stdout=log, stderr=log),
            subprocess.Popen(
                [*gunicorn, "--bind", f"127.0.0.1:{upstream}", "proxied_test_app:application"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
            ),
        ]

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait(60)

    def connection(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.secure), timeout=100))

    def ask(self, path, *, method="GET", body=None, **headers):
        client = http.client.HTTPConnection("palate.example.org")
        client.sock = self.connection()
        client.request(method, path, body=body, headers={"Host": "palate.example.org", **headers})
        answer = client.getresponse()
        content = answer.read()
        client.close()
        return answer, content


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    # Workers of nginx that started as root are another user.
    for parent in (folder, *folder.parents):
        if "pytest" in str(parent):
            parent.chmod(0o755)
    proxy = Proxy(folder)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if proxy.ask("/")[0].status == 200:
                    break
            except OSError:
                pass
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield proxy
    finally:
        proxy.stop()


def test_the_application_learns_who_asks_and_how(proxy):
    answer, content = proxy.ask("/studies/", **{"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Proto": "http"})
    headers = json.loads(content)["headers"]
    assert headers["X_FORWARDED_FOR"] == "127.0.0.1"
    assert headers["X_FORWARDED_PROTO"] == "https"
    assert headers["HOST"] == "palate.example.org"
    assert len(headers["X_REQUEST_ID"]) == 32
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"


def test_http_leads_to_https_of_the_one_name(proxy):
    client = http.client.HTTPConnection("127.0.0.1", proxy.plain, timeout=100)
    client.request("GET", "/studies/?a=1", headers={"Host": "evil.example"})
    answer = client.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://palate.example.org/studies/?a=1")
    client.close()


@pytest.mark.parametrize("path", ["/login/", "/studies/preview/", "/assignments/1/judge/"])
def test_large_bodies_are_refused_where_no_file_is_expected(proxy, path):
    assert proxy.ask(path, method="POST", body=b"x" * 7_000_000)[0].status == 413


@pytest.mark.parametrize("path", ["/studies/s/exchange/file/", "/studies/s/gold/upload/"])
def test_files_are_passed_on(proxy, path):
    answer, content = proxy.ask(path, method="POST", body=b"x" * 7_000_000)
    assert (answer.status, json.loads(content)["length"]) == (200, 7_000_000)


def test_the_api_takes_what_its_setting_says(proxy):
    path = "/api/v1/studies/s/prompts/"
    assert proxy.ask(path, method="POST", body=b"x" * 7_000_000)[0].status == 200
    assert proxy.ask(path, method="POST", body=b"x" * 17_000_000)[0].status == 413


def test_counts_are_not_for_strangers(proxy):
    assert proxy.ask("/metrics", Authorization="Bearer right")[0].status == 404


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: palate.example.org\r\nX-Slow: ",
    b"POST / HTTP/1.1\r\nHost: palate.example.org\r\nContent-Length: 50\r\n\r\nabc"])  # fmt: skip
def test_slow_clients_wait_in_the_proxy_and_are_cut_off(proxy, sent):
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(proxy.connection()) for _ in range(40)]
        for client in clients:
            client.sendall(sent)
        assert proxy.ask("/")[0].status == 200
        if sent:
            for client in clients:
                assert b"200 OK" not in client.recv(10_000)


def test_one_address_cannot_try_passwords_without_end(proxy):
    statuses = [proxy.ask("/login/", method="POST", body=b"login=a&password=b")[0].status for _ in range(60)]
    assert statuses[0] == 200
    assert 429 in statuses
    assert proxy.ask("/studies/")[0].status == 200
