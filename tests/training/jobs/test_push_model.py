"""manage.py push_model, as a process of its own with the real client, to a small hub on loopback."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from safetensors.numpy import save_file

from annotate.models.audit import Action, Entry
from annotate.models.studies import Study
from tests.training.hub import TOKEN, hub
from tests.training.real_worker import environment
from training.models import ModelKind, ModelVersion
from training.runs import execution, operations

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def version(study):
    values = {"kind": "cnn", "num_epochs": 1, "min_steps": 1, "explain": 4, "name": "taste"}
    run = operations.create_run(kind="train_preference", study=Study.objects.get(slug=study), values=values)
    return execution.execute_run(run=run).model_version


def push(folder, address, *arguments, token=TOKEN):
    """As a process of its own: the client reads the hub's address once, when it is imported."""
    settings = {"HF_TOKEN": token, "HF_ENDPOINT": address, "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, "manage.py", "push_model", *arguments],
        env={**environment(folder), **settings}, capture_output=True, text=True,
    )  # fmt: skip


def test_the_folder_arrives_with_its_card_and_without_what_quotes_the_study(version, tmp_path):
    folder = Path(version.path)
    with hub() as server:
        refused = push(tmp_path, server.url, "taste", "me/taste", token="another")
        assert refused.returncode == 1
        assert "REPO me/taste" in refused.stderr
        assert "401" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert not server.files
        assert not Entry.objects.filter(action=Action.EXPORTED).exists()
        done = push(tmp_path, server.url, "taste", "me/taste", "--private")
    assert done.returncode == 0, done.stderr
    assert server.repos["me/taste"]["visibility"] == "private"
    kept = {"report.json", "training.json"}
    assert kept < {file.name for file in folder.iterdir()}
    expected = {("me/taste", file.name): file.read_bytes() for file in folder.iterdir() if file.name not in kept}
    assert server.files == expected
    assert {"model.safetensors", "config.json", "README.md"} <= {name for _, name in server.files}
    entry = Entry.objects.get(action=Action.EXPORTED)
    assert (entry.study, entry.actor, entry.subject) == (version.study, "command", "taste to me/taste")
    assert entry.details["private"] is True
    assert entry.details["address"] in done.stdout


@pytest.mark.parametrize("part_bytes", [0, 5_000_000])
def test_a_large_file_goes_by_lfs_and_does_not_go_twice(study, tmp_path, part_bytes):
    folder = tmp_path / "large"
    folder.mkdir()
    weights = np.random.default_rng(0).standard_normal(3_000_000, dtype=np.float32)
    save_file({"weights": weights}, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    owner = Study.objects.get(slug=study)
    ModelVersion.objects.create(study=owner, kind=ModelKind.POLICY, name="large", path=str(folder))
    expected = {("me/large", file.name): file.read_bytes() for file in folder.iterdir()}
    with hub(part_bytes) as server:
        done = push(tmp_path, server.url, "large", "me/large")
        assert done.returncode == 0, done.stderr
        assert server.files == expected
        (parts,) = server.stored.values()
        size = len(expected["me/large", "model.safetensors"])
        sent = [part_bytes, part_bytes, size - 2 * part_bytes] if part_bytes else [size]
        assert [len(content) for _, content in sorted(parts.items())] == sent
        server.stored.clear()
        again = push(tmp_path, server.url, "large", "me/again")
        assert again.returncode == 0, again.stderr
    assert not server.stored
    assert server.files["me/again", "model.safetensors"] == expected["me/large", "model.safetensors"]


@pytest.mark.parametrize(
    ("model", "repo", "token", "words"),
    [
        ("taste", "me/taste", "", "HF_TOKEN is not set"),
        ("taste", "not a name", TOKEN, "REPO not a name: HFValidationError"),
        ("flavour", "me/taste", TOKEN, "MODEL flavour: no model version"),
        ("twice", "me/taste", TOKEN, "MODEL twice: several model versions have this name; take one by its number"),
        ("gone", "me/taste", TOKEN, "MODEL .*: no such folder"),
    ],
)
def test_what_cannot_be_pushed_is_told_and_not_on_record(version, tmp_path, monkeypatch, model, repo, token, words):
    for name in ("twice", "twice", "gone"):
        ModelVersion.objects.create(study=version.study, kind=ModelKind.POLICY, name=name, path=str(tmp_path / "no"))
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(CommandError, match=words):
        call_command("push_model", model, repo)
    assert not Entry.objects.filter(action=Action.EXPORTED).exists()
