"""Bodies that are too long, files that are not what they say, and models that nobody has."""

import csv
import gzip
import io
import json
import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attack.instance import Attack, Instance, Visitor, check
from attack.rating import judge_next, take_task

MB = 1024 * 1024
# Seconds until an import or a command that cannot succeed has said so.
PATIENCE = 60
# What reading one upload may take: IMPORT_MEMORY_MB, besides what a worker has anyway.
WORKER_MEMORY = 2048 * MB


def anonymous_upload(instance: Instance) -> None:
    study = instance.study()
    for path in ("/login/", f"/studies/{study.slug}/exchange/file/", "/api/v1/studies/", "/studies/preview/"):
        with nothing_is_stored(instance):
            status, sent = begin_upload(instance, path, "Content-Length: 300000000")
        check(status in (403, 413, 401), f"{path} answers 300 MB of a stranger with {status}")
        check(sent <= 8 * MB, f"{path} took {sent // MB} MB of them")
        with nothing_is_stored(instance):
            status, sent = begin_upload(instance, path, "Transfer-Encoding: chunked")
        check(status in (411, 413, 401, 403), f"{path} answers a chunked upload of a stranger with {status}")
        check(sent <= 8 * MB, f"{path} took {sent // MB} MB in chunks")


def begin_upload(
    instance: Instance,
    path: str,
    length: str,
    visitor: Visitor | None = None,
    form: str = "multipart/form-data; boundary=b",
) -> tuple[int, int]:
    """Send up to 50 MB until the server answers; its status (0 where it hung up) and how many bytes it took."""
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items()) if visitor else ""
    token = visitor.cookies.get("csrftoken", "") if visitor else ""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {form}", length]
    lines += [f"Cookie: {cookies}", f"X-CSRFToken: {token}"]
    block = b"x" * 65536
    block = b"10000\r\n" + block + b"\r\n" if "chunked" in length else block
    with socket.create_connection(("127.0.0.1", instance.port), timeout=30) as client:
        client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        sent = 0
        while sent < 50 * MB and not select.select([client], [], [], 0.02 if sent else 2)[0]:
            try:
                sent += client.send(block)
            except OSError:
                break
        try:
            answer = client.recv(4096)
        except OSError:
            answer = b""
    return (int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0), sent


@contextmanager
def nothing_is_stored(instance: Instance) -> Iterator[None]:
    """The block leaves no file behind, in the data folder or in the folder for temporary files."""
    before = stored_bytes(instance)
    yield
    grown = stored_bytes(instance) - before
    check(grown < MB, f"{grown // MB} MB more lie on the disk")


def stored_bytes(instance: Instance) -> int:
    """Bytes of uploads: in the data folder without PostgreSQL, and where Django keeps a request's files."""
    kept = [path for path in instance.folder.rglob("*") if instance.folder / "postgres" not in path.parents]
    return sum(size_of(path) for path in [*kept, *Path(tempfile.gettempdir()).glob("*.upload*")])


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # gone since it was listed
        return 0


def long_forms(instance: Instance) -> None:
    study = instance.study()
    instance.tasks(study, ["What?"])
    rater = instance.member(study)
    assignment = take_task(rater, study)
    paths = [f"/assignments/{assignment}/{name}/" for name in ("judge", "draft", "skip")]
    for path, visitor in [
        ("/login/", None),
        *((path, rater) for path in [*paths, f"/studies/{study.slug}/rate/prefetch/"]),
    ]:
        for form in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            with nothing_is_stored(instance):
                status, sent = begin_upload(instance, path, "Content-Length: 52428800", visitor, form)
            check(status == 413, f"{path} answers a form of 50 MB with {status} after {sent // MB} MB")


def quota(instance: Instance) -> None:
    study, other = instance.study(), instance.study()
    manager = instance.member(study, "manager")
    user = study.memberships.get().user_id
    for name, words in ((f"{study.pk}-0-full", "of one study"), (f"{other.pk}-{user}-full", "of one member")):
        folder = instance.folder / "uploads" / name
        folder.mkdir(parents=True)
        with (folder / "file").open("wb") as full:
            full.truncate(4096 * MB)  # holds nothing and takes no room
        try:
            answer = manager.post(
                f"/studies/{study.slug}/exchange/file/", {"file": ("a.csv", b"prompt\nWhat?\n" * 9999)}
            )
            check(
                answer.status in (413, 422) and "UPLOAD_QUOTA_MB" in answer.text, f"the quota {words}: {answer.status}"
            )
            check(not study.runs.exists(), "an upload beyond the quota is imported")
        finally:
            (folder / "file").unlink()
            folder.rmdir()


def hostile_file(instance: Instance, name: str, content: Any, words: str) -> None:
    """Upload a file: its run fails within PATIENCE, in words, and no worker takes more memory than it may."""
    study = instance.study()
    manager = instance.member(study, "manager")
    answer = manager.post(f"/studies/{study.slug}/exchange/file/", {"file": (name, content())}, seconds=PATIENCE)
    check(answer.status == 302, f"the upload is answered with {answer.status}")
    run, most, until = study.runs.get(), 0, time.monotonic() + PATIENCE
    before = memory_of_workers(instance)
    while not run.ended and time.monotonic() < until:
        most = max(most, memory_of_workers(instance) - before)
        time.sleep(0.1)
        run.refresh_from_db()
    if not run.ended:
        manager.post(f"/runs/{run.pk}/cancel/")  # so that it holds up no other attack
    check(run.state == "failed", f"its run is {run.state} after {PATIENCE} s")
    output = run.error + "".join(path.read_text(errors="replace") for path in logs_of(run))
    check("Traceback" not in output, f"a traceback: {run.error[-200:]}")
    check(words in run.error, f"it says: {run.error[:200]}")
    check(most < WORKER_MEMORY, f"the workers took {most // MB} MB more")
    check(manager.get(f"/runs/{run.pk}/").status == 200, "the page of the run does not answer")


def logs_of(run: Any) -> list[Path]:
    from training.runs.reporting import run_folder

    return [path for path in run_folder(run).rglob("*") if path.is_file()]


def memory_of_workers(instance: Instance) -> int:
    import psutil

    total = 0
    for process in psutil.Process(instance.process.pid).children(recursive=True):
        try:
            total += process.memory_info().rss if "celery" in " ".join(process.cmdline()) else 0
        except psutil.Error:  # ended since it was listed
            continue
    return total


def wide_csv() -> bytes:
    names = io.StringIO()
    csv.writer(names).writerow(["prompt", *(f"c{n}" for n in range(200_000))])
    return names.getvalue().encode() + b"x" + b"," * 200_000 + b"\r\n"


def long_cell() -> bytes:
    return b'prompt,response\r\n"' + b"a" * (40 * MB) + b'","b"\r\n'


def gzip_bomb() -> bytes:
    packed = io.BytesIO()
    with gzip.open(packed, "wb", compresslevel=6) as file:
        file.write(b"prompt,response\n")
        row = b"a" * MB + b",b\n"
        for _ in range(1500):
            file.write(row)
    return packed.getvalue()


def truncated_gzip() -> bytes:
    return gzip.compress(b"prompt,response\n" + os.urandom(200_000).hex().encode() + b",b\n")[:-5000]


def wide_parquet() -> bytes:
    import pyarrow as pa

    return parquet(pa.table({f"c{n}": [1] for n in range(20_000)}))


def dictionary_bomb() -> bytes:
    """Five million rows that all name the same text of a megabyte: five terabytes."""
    import numpy as np
    import pyarrow as pa

    def column() -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_000, dtype=np.int32)), pa.array(["a" * MB]))

    return parquet(pa.table({"prompt": column(), "response": column()}))


def parquet(table: Any) -> bytes:
    import pyarrow.parquet as pq

    packed = io.BytesIO()
    pq.write_table(table, packed, compression="zstd")
    check(packed.tell() < 20 * MB, f"the file is no bomb: {packed.tell()} bytes")
    return packed.getvalue()


def nested_lines() -> bytes:
    deep = b"[" * 100_000 + b"]" * 100_000
    return b'{"prompt": "x", "response": ' + deep + b"}\n" + b'{"prompt": ' + deep + b"}\n"


def absurd_model(instance: Instance, changed: dict[str, Any]) -> None:
    """Commands that are given a folder whose config.json no weights fit: one line within PATIENCE."""
    study = instance.study()
    instance.tasks(study, ["What?"])
    judge_next(instance.member(study), study)
    folder = instance.folder / f"absurd-{study.pk}"
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4000))
    (folder / "tokenizer.json").write_text("{}")
    plain = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2}
    (folder / "config.json").write_text(json.dumps({**plain, "palate": {"heads": 1}, **changed}))
    for command in (
        ["evaluate_preference", str(folder), "--split", "all"],
        ["generate_responses", "--model", str(folder)],
        ["rl_finetune", "--policy", str(folder), "--reward", str(folder)],
    ):
        ended = instance.command(*command, "--study", study.slug, seconds=PATIENCE)
        lines = ended.stderr.strip().splitlines()
        check(
            ended.returncode and len(lines) == 1 and "config.json" in lines[0], f"{command[0]}: {ended.stderr[-300:]}"
        )


def hostile(name: str, file: str, content: Any, words: str) -> Attack:
    return Attack(f"6 {name}", partial(hostile_file, name=file, content=content, words=words))


ATTACKS: list[Attack] = [
    Attack("5 an upload of 300 MB by a stranger", anonymous_upload),
    Attack("5 forms of 50 MB", long_forms),
    Attack("6 uploads beyond the quota", quota),
    hostile("CSV with 200,000 columns", "a.csv", wide_csv, "MB"),
    hostile("CSV with a cell of 40 MB", "a.csv", long_cell, "IMPORT_MAX_CELL_MB"),
    hostile("a gzip bomb", "a.csv.gz", gzip_bomb, "IMPORT_MAX_RATIO"),
    hostile("a truncated gzip file", "a.csv.gz", truncated_gzip, "gzip"),
    hostile("Parquet with 20,000 columns", "a.parquet", wide_parquet, "columns"),
    hostile("a dictionary bomb in Parquet", "a.parquet", dictionary_bomb, "IMPORT_MAX"),
    hostile("deeply nested JSON lines", "a.jsonl", nested_lines, "nested"),
    Attack("6 a model with a billion layers", partial(absurd_model, changed={"num_hidden_layers": 10**9})),
    Attack("6 a model that is a billion wide", partial(absurd_model, changed={"hidden_size": 10**9})),
    Attack(
        "6 a model larger than its weights",
        partial(absurd_model, changed={"hidden_size": 2**20, "num_hidden_layers": 100}),
    ),
]
