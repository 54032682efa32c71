"""TRL's own trainers take what Palate exports. TRL lives in an environment of its own, never in Palate's:

python3 -m venv /some/trl && /some/trl/bin/pip install -r requirements-trl.txt
PALATE_TRL_PYTHON=/some/trl/bin/python make test
"""

import os
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

PYTHON = os.environ.get("PALATE_TRL_PYTHON")
EXPORTED = {
    "DPO": ("preference", ["plain-explicit", "conversational-explicit"]),
    "Reward": ("preference", ["plain-implicit", "conversational-implicit", "plain-explicit"]),
    "KTO": ("unpaired", ["plain-explicit", "conversational-explicit"]),
    "GRPO": ("prompts", ["plain-explicit", "conversational-explicit"]),
}


@pytest.mark.skipif(not PYTHON, reason="PALATE_TRL_PYTHON names no Python with TRL, so its trainers were not tried")
@pytest.mark.django_db
def test_trainers_of_trl_train_on_exported_folders(tmp_path):
    study = StudyFactory()
    TaskFactory.create_batch(6, study=study)
    rater = MembershipFactory(study=study)
    while assignment := lease_next(rater=rater):
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
    folders = [f"{trainer}.{style}" for trainer, (_, styles) in EXPORTED.items() for style in styles]
    for folder in folders:
        trainer, style = folder.split(".")
        styles = {"conversational": "conversational" in style, "implicit_prompt": "implicit" in style}
        output = str(tmp_path / folder)
        call_command(
            "export_preferences",
            study=study.slug,
            format=EXPORTED[trainer][0],
            file_type="folder",
            output=output,
            **styles,
        )
    script = Path(__file__).with_name("trl_trainers.py")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path.parent / "hub")}
    environment = {**os.environ, **offline}
    ended = subprocess.run([PYTHON, script, tmp_path], capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert sorted(line.split()[1] for line in ended.stdout.splitlines() if line.startswith("trained")) == sorted(
        folders
    )
