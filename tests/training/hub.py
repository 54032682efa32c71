"""A small model hub on loopback that speaks what huggingface_hub asks when a folder is uploaded."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token-that-may-write"


class Hub(ThreadingHTTPServer):
    """repos: what was asked when each was made. files: (repository, path) to content. Takes TOKEN only."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, Any] = {}
        self.files: dict[tuple[str, str], bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.answer(404, {"error": f"nothing at {self.path}"})

    def do_POST(self) -> None:
        body = self.body()
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "this token may not write"})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            self.server.repos[repo] = asked
            return self.answer(200, {"url": f"{self.server.url}/{repo}"})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        kind, _, rest = self.path.removeprefix("/api/").partition("/")
        repo, _, action = rest.rpartition("/main")[0].rpartition("/")
        if kind == "models" and action == "preupload":
            how = {"uploadMode": "regular", "shouldIgnore": False}
            return self.answer(200, {"files": [{"path": f["path"], **how} for f in json.loads(body)["files"]]})
        if kind == "models" and action == "commit":
            self.take(repo, [json.loads(line) for line in body.splitlines()])
            address = f"{self.server.url}/{repo}/commit/{'1' * 40}"
            return self.answer(200, {"success": True, "commitOid": "1" * 40, "commitUrl": address})
        return self.do_GET()

    def take(self, repo: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["key"] == "file":
                file = line["value"]
                self.server.files[repo, file["path"]] = base64.b64decode(file["content"])

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def hub() -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
