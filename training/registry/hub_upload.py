"""A model's folder to a model hub."""

import os
from pathlib import Path
from typing import Any

from annotate.audit.operations import record
from annotate.models.audit import Action
from annotate.models.studies import Study
from core.errors import PalateError
from training.models import ModelVersion
from training.registry import model_versions

# They quote prompts and responses of the study, and name its raters.
KEPT_HERE = ["report.json", "training.json"]


def version_named(value: str, study: Study | None) -> ModelVersion:
    """The model version with this number or name, in the study if one is given. Raises PalateError when there is none,
    or several."""
    within = ModelVersion.objects.filter(model_versions.in_reach(study)) if study else ModelVersion.objects.all()
    versions = list(within.filter(pk=value) if value.isdecimal() else within.filter(name=value).order_by("pk"))
    if not versions:
        raise PalateError(f"MODEL {value}: no model version has this number or name")
    if len(versions) > 1:
        numbers = ", ".join(str(version.pk) for version in versions)
        raise PalateError(f"MODEL {value}: several model versions have this name; take one by its number: {numbers}")
    return versions[0]


def push(*, version: ModelVersion, repo: str, private: bool) -> str:
    """Upload the model's folder to the hub's repository, made when it is new, and return the address of the commit.

    The hub's token is that of HF_TOKEN. Raises PalateError, and puts nothing on record, when the hub did not take it.
    """
    token = os.environ.get("HF_TOKEN", "")
    if not token:
        raise PalateError("HF_TOKEN is not set; it takes a token of the hub that may write")
    folder = Path(model_versions.locate(version.study, version.path, flag=f"MODEL {version.pk}"))
    if not folder.is_dir():
        raise PalateError(f"MODEL {version.pk}: {version.path} is no folder here, so there is nothing to push")
    address = _upload(folder, repo, private, token)
    if version.study:
        details = {"model": version.pk, "private": private, "address": address}
        record(study=version.study, user=None, action=Action.EXPORTED, subject=f"{version} to {repo}", **details)
    return address


def _upload(folder: Path, repo: str, private: bool, token: str) -> str:
    # Large files go to huggingface.co by Xet; another hub takes them by Git LFS. The client reads this once, on import.
    if os.environ.get("HF_ENDPOINT"):
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    try:
        # Without a word of ours the repository is as its owner's other new ones are.
        api.create_repo(repo, private=private or None, exist_ok=True)
        done: Any = api.upload_folder(repo_id=repo, folder_path=folder, ignore_patterns=KEPT_HERE)
    except Exception as error:
        # The hub's client raises many kinds of errors: refused, unreachable, no name of a repository.
        raise PalateError(f"REPO {repo}: {type(error).__name__}: {error}") from error
    return str(done.commit_url)
