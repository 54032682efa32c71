"""The lock file holds what requirements.txt asks for, with hashes; licences and audit speak of all of it."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ \\;]+)(.*(?:\n {4}--hash=.*)*)", re.MULTILINE)


def entries():
    return ENTRY.findall((ROOT / "requirements.lock").read_text())


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f".ci/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_requirement_is_locked_with_hashes():
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
    required = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert len(pins) == len(required), "requirements.txt pins every package with =="
    locked = {(normal(name), version) for name, version, _ in entries()}
    assert {(normal(name), version) for name, version in pins} <= locked, "run: make lock"
    assert [name for name, _, rest in entries() if not re.search(r"--hash=sha256:[0-9a-f]{64}", rest)] == []
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_every_locked_package_has_its_licence_on_the_page():
    rows = re.findall(
        r"^\| ([^ ]+) \| ([^ ]+) \| (.+) \|$", (ROOT / "docs/reference/licences.md").read_text(), re.MULTILINE
    )
    assert [row[:2] for row in rows[1:]] == [entry[:2] for entry in entries()], "run: make lock"
    assert all(licence.strip() for _, _, licence in rows)


def test_the_sbom_lists_every_locked_package(tmp_path):
    file = tmp_path / "sbom.json"
    subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "requirements", str(ROOT / "requirements.lock"), "-o", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    sbom = json.loads(file.read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    assert {(c["name"], c["version"]) for c in sbom["components"]} == {entry[:2] for entry in entries()}


@pytest.mark.parametrize(("packages", "status", "words"), [
    ([{"name": "a", "version": "1", "vulns": []}], 0, ["audited 1 of 1 packages; vulnerable: 0"]),
    ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}], 1,
     ["VULNERABLE: a 1: CVE-1, fixed in 2"]),
    ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}], 0,
     ["audited 1 of 2 packages", "NOT AUDITED", "b"]),
])  # fmt: skip
def test_the_audit_fails_for_a_vulnerability_and_names_what_it_could_not_look_at(packages, status, words, capsys):
    with pytest.raises(SystemExit) as ended:
        loaded("audit").report(packages)
    output = capsys.readouterr().out
    assert int(ended.value.code) == status
    assert [word for word in words if word not in output] == []
