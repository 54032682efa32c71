"""A small model hub on loopback that speaks what huggingface_hub asks when a folder is uploaded.

Files above LFS_BYTES go by Git LFS's batch API (https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md), whole
or, as the hub has it with very large ones, in parts.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token-that-may-write"
LFS_BYTES = 10_000_000


class Hub(ThreadingHTTPServer):
    """repos: what was asked when each was made. files: (repository, path) to content. Takes TOKEN only.

    part_bytes: the size of the parts that large files come in; 0: whole. stored: what came by LFS, its SHA-256 to its
    parts by number. verified: that whose hash and size were right.
    """

    def __init__(self, part_bytes: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.part_bytes = part_bytes
        self.repos: dict[str, Any] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.stored: dict[str, dict[int, bytes]] = {}
        self.verified: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.answer(404, {"error": f"nothing at {self.path}"})

    def do_PUT(self) -> None:
        """Storage of large files: whoever has the address may write, as with the hub's signed addresses."""
        _, _, oid, part = self.path.split("/")
        content = self.body()
        self.server.stored.setdefault(oid, {})[int(part)] = content
        self.answer(200, {}, ETag=hashlib.md5(content).hexdigest())

    def do_POST(self) -> None:
        body = self.body()
        if self.path.startswith("/complete/"):
            return self.complete(json.loads(body))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "this token may not write"})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            self.server.repos[repo] = asked
            return self.answer(200, {"url": f"{self.server.url}/{repo}"})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if self.path.endswith(".git/info/lfs/objects/batch"):
            return self.answer(
                200, {"objects": [self.answer_body(expected) for expected in json.loads(body)["objects"]]}
            )
        if self.path == "/verify":
            return self.verify(json.loads(body))
        kind, _, rest = self.path.removeprefix("/api/").partition("/")
        repo, _, action = rest.rpartition("/main")[0].rpartition("/")
        if kind == "models" and action == "preupload":
            files = [(f["path"], "lfs" if f["size"] > LFS_BYTES else "regular") for f in json.loads(body)["files"]]
            result = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in files]
            return self.answer(200, {"files": result})
        if kind == "models" and action == "commit":
            self.take(repo, [json.loads(line) for line in body.splitlines()])
            address = f"{self.server.url}/{repo}/commit/{'1' * 40}"
            return self.answer(200, {"success": True, "commitOid": "1" * 40, "commitUrl": address})
        return self.do_GET()

    def answer_body(self, expected: dict[str, Any]) -> dict[str, Any]:
        """Where a large file goes; nothing of it when it is there."""
        oid, size, parts = expected["oid"], expected["size"], self.server.part_bytes
        if oid in self.server.verified:
            return expected
        upload: dict[str, Any] = {"href": f"{self.server.url}/stored/{oid}/1"}
        if parts:
            places = {str(n + 1): f"{self.server.url}/stored/{oid}/{n + 1}" for n in range(-(-size // parts))}
            upload = {"href": f"{self.server.url}/complete/{oid}", "header": {"chunk_size": str(parts), **places}}
        return {**expected, "actions": {"upload": upload, "verify": {"href": f"{self.server.url}/verify"}}}

    def complete(self, asked: dict[str, Any]) -> None:
        held = self.server.stored.get(asked["oid"], {})
        known = {number: hashlib.md5(content).hexdigest() for number, content in held.items()}
        right = known == {part["partNumber"]: part["etag"] for part in asked["parts"]}
        self.answer(200 if right else 400, {} if right else {"error": "these are not the parts"})

    def verify(self, asked: dict[str, Any]) -> None:
        content = b"".join(content for _, content in sorted(self.server.stored.get(asked["oid"], {}).items()))
        if (hashlib.sha256(content).hexdigest(), len(content)) != (asked["oid"], asked["size"]):
            self.answer(422, {"error": "hash or size is another"})
            return
        self.server.verified[asked["oid"]] = content
        self.answer(200, {})

    def take(self, repo: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            file = line["value"]
            if line["key"] == "file":
                self.server.files[repo, file["path"]] = base64.b64decode(file["content"])
            if line["key"] == "lfsFile":
                self.server.files[repo, file["path"]] = self.server.verified[file["oid"]]

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, content: dict[str, Any], **headers: str) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def hub(part_bytes: int = 0) -> Iterator[Hub]:
    with Hub(part_bytes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
