"""Write docs/reference/licences.md: every package of requirements.lock with the licence that its own metadata states.

Metadata comes from the installed packages, else from the index; a package that states none ends this with an error.
"""

import email
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ \\;]+)", re.MULTILINE)
INDEX = "https://pypi.org/simple"
# Their metadata states no licence; the source that does is named instead.
STATED_ELSEWHERE = {"cuda-toolkit": "NVIDIA CUDA Toolkit End User License Agreement (docs.nvidia.com/cuda/eula)"}
HEAD = """# Licences

Each package of [requirements.lock](../../requirements.lock) with the licence that its metadata states; written by
`python .ci/licences.py`. Packages of the `nvidia-` and `cuda-` families come with CUDA builds of torch only.

| package | version | licence |
|---|---|---|
"""


def locked() -> list[tuple[str, str]]:
    return LOCKED.findall((ROOT / "requirements.lock").read_text())


def metadata(name: str, version: str) -> Message:
    try:
        installed = importlib.metadata.distribution(name)
        if installed.version.split("+")[0] == version:
            return email.message_from_string(installed.read_text("METADATA") or "")
    except importlib.metadata.PackageNotFoundError:
        pass
    return _from_index(name, version)


def _from_index(name: str, version: str) -> Message:
    request = urllib.request.Request(f"{INDEX}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    wheel = next(file for file in files if re.search(rf"-{re.escape(version)}-.*\.whl$", file["filename"]))
    try:
        with urllib.request.urlopen(wheel["url"] + ".metadata", timeout=60) as answer:
            return email.message_from_bytes(answer.read())
    except urllib.error.HTTPError:
        return _from_wheel(wheel["url"])


def _from_wheel(url: str) -> Message:
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["curl", "--silent", "--fail", "--location", "--output", file.name, url], check=True)
        with zipfile.ZipFile(file.name) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            return email.message_from_bytes(wheel.read(name))


def licence(name: str, found: Message) -> str:
    """The SPDX expression, else the classifiers, else the first line of the free text; "" for none."""
    classifiers = [c.split(" :: ")[-1] for c in found.get_all("Classifier", []) if c.startswith("License :: ")]
    classifiers = [c for c in classifiers if c != "OSI Approved"]
    free = (found.get("License") or "").strip().splitlines()
    stated = found.get("License-Expression") or ", ".join(classifiers) or (free[0] if free else "")
    return stated or STATED_ELSEWHERE.get(name, "")


def main() -> None:
    rows = [(name, version, licence(name, metadata(name, version))) for name, version in locked()]
    if unknown := [name for name, _, stated in rows if not stated]:
        sys.exit(f"no licence stated: {', '.join(unknown)}")
    lines = (f"| {name} | {version} | {stated.replace('|', '/')} |\n" for name, version, stated in rows)
    (ROOT / "docs/reference/licences.md").write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
