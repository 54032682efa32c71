"""Finding, placing and registering model versions. Reads only config.json: nothing here loads a model."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from annotate.models.studies import Study
from core.errors import PalateError
from training.errors import StaleAttempt
from training.models import ModelKind, ModelVersion, Run, RunState, short_name
from training.registry.model_sizes import absurd

# Kinds of training.engine.models.small_models that int8 (training.engine.models.quantised) cannot make faster.
WITHOUT_LAYERS = ("palate-linear", "palate-cnn", "palate-rnn")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# Bytes of config.json and of an index of weights; of the header of a file of weights, as safetensors has it.
MAX_JSON, MAX_HEADER = 20 * 1024**2, 100_000_000
# What a folder has one of, whatever the kind of its tokenizer.
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json")


def locate(study: Study | None, value: str, *, flag: str, kind: ModelKind | None = None) -> str:
    """What `from_pretrained` shall open for `value`: a model version's name or number, a folder or a hub name.

    Raises PalateError naming `flag` when there is no such model, or when it is of the wrong kind.
    """
    version = _registered(study, value, kind)
    path = version.path if version else _resolved(value)
    _check_place(path, flag=flag, value=value)
    _check_whole(Path(path), flag=flag, value=value)
    config = _config(path, flag=flag, value=value)
    if wrong := absurd(config, Path(path) if Path(path).is_dir() else None):
        raise _refusal(flag, value, wrong)
    _check_complete(Path(path), flag=flag, value=value)
    if kind == ModelKind.PREFERENCE and "palate" not in config:
        raise _refusal(flag, value, _("not a preference model; expected a folder that train_preference saved"))
    if kind == ModelKind.POLICY and not _writes_text(config):
        message = _("not a causal or encoder–decoder language model; config.json says %(found)s")
        raise _refusal(flag, value, message % {"found": config.get("architectures")})
    return path


def members(path: str) -> int:
    """How many members a preference model has that `locate` found."""
    settings = _config(path, flag="--model", value=path)["palate"]
    return int(settings.get("heads", 1)) * int(settings.get("copies", 1))


def check_precision(path: str, precision: str) -> None:
    """Raises PalateError when the preference model that `locate` found has no layers to hold in int8."""
    kind = _config(path, flag="--model", value=path).get("model_type")
    if precision == "int8" and kind in WITHOUT_LAYERS:
        message = _("--precision int8: %(path)s is a small model without large linear layers; use float32")
        raise PalateError(message % {"path": path})


def register(*, study: Study | None, kind: ModelKind, path: str, name: str = "", **details: Any) -> ModelVersion:
    """The model version of a path that the study can see, made when it is new.

    Raises StaleAttempt when it comes from an attempt of a run that another has taken over.
    """
    run = details.get("run")
    if run and run.state == RunState.RUNNING and not Run.objects.attempt_of(run).exists():
        raise StaleAttempt
    known = ModelVersion.objects.filter(in_reach(study), kind=kind, path=path).first()
    return known or ModelVersion.objects.create(
        study=study, kind=kind, path=path, name=name or Path(path).name, **details
    )


def of_path(study: Study | None, path: str) -> ModelVersion | None:
    """The first model version of a path among those that the study can see."""
    return ModelVersion.objects.filter(in_reach(study), path=path).order_by("pk").first()


def output_folder(run: Run, path: str) -> Path:
    """Where a run saves its model: `wanted`, or else a folder of its own under var/models."""
    if path:
        return Path(path).expanduser().resolve()
    place = _own_place(run)
    if run.attempts > 1:  # the one before may have been killed when its model was whole and not registered yet
        shutil.rmtree(place, ignore_errors=True)
    return place


def _own_place(run: Run) -> Path:
    owner = run.study.slug if run.study else "shared"
    return Path(settings.MODELS_DIR) / owner / f"{run.kind}-{run.pk}"


def check_output(output: str) -> None:
    """Raises PalateError unless a model may be saved at `wanted` ("" means that Palate chooses)."""
    if not output:
        return
    path = Path(output).expanduser().resolve()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise _refusal("--output", output, _("exists and is not an empty folder; models are never overwritten"))
    parent = next(p for p in path.parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise _refusal("--output", output, _("cannot write into %(folder)s") % {"folder": parent})


@contextmanager
def saved_whole(output: Path) -> Iterator[Path]:
    """An empty folder to save into that becomes `output` when all went well, so that no half model is ever seen. What
    went wrong leaves nothing; what a worker left that was killed is cleared away by the next attempt. Raises
    PalateError when something is at `output` already."""
    if output.exists() and any(output.iterdir()):
        message = _("%(folder)s exists and is not an empty folder; models are never overwritten")
        raise PalateError(message % {"folder": output})
    partial = _partial(output)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if output.exists():
            output.rmdir()
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def forget_partial(run: Run) -> None:
    """Delete the half model of a worker's run that was killed and is not tried again."""
    shutil.rmtree(_partial(_own_place(run)), ignore_errors=True)


def _partial(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


def write_papers(folder: Path, **papers: Any) -> None:
    """Put what is known of a model beside it, each of the papers as a JSON file of its name."""
    for name, content in papers.items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def choices(study: Study | None, kind: ModelKind) -> list[tuple[str, str]]:
    """The models that a page offers: (number, name) of the registered ones, and where something is made from a
    language model or an encoder, (folder or hub name, name) of those that the server's settings name."""
    versions = ModelVersion.objects.filter(in_reach(study), kind=kind)
    named = settings.BASE_MODELS if kind == ModelKind.POLICY else []
    return [
        *((str(version.pk), version.name) for version in versions),
        *((name, short_name(name)) for name in named),
    ]


@transaction.atomic
def _registered(study: Study | None, value: str, kind: ModelKind | None) -> ModelVersion | None:
    named = Q(name=value) | Q(path=_resolved(value))
    if value.isdecimal() and len(value) < 19:
        named |= Q(pk=int(value))
    of_kind = Q(kind=kind) if kind else Q()
    return ModelVersion.objects.filter(in_reach(study), of_kind, named).order_by("-pk").first()


def in_reach(study: Study | None) -> Q:
    """Models of the study, and those that all studies share."""
    return Q(study=study) | Q(study=None)


def _resolved(value: str) -> str:
    """An absolute path when `value` is an existing path, else `value` itself (a hub's name)."""
    path = Path(value).expanduser()
    return str(path.resolve()) if path.exists() else value


def _check_place(path: str, *, flag: str, value: str) -> None:
    """Raises PalateError for a folder outside of MODEL_ROOTS, where that is set, and for weights that are pickles."""
    folder = Path(path)
    roots = [Path(root).resolve() for root in settings.MODEL_ROOTS]
    if roots and not (folder.is_dir() and any(folder.resolve().is_relative_to(root) for root in roots)):
        message = _("models are loaded only from below %(known)s (MODEL_ROOTS)")
        raise _refusal(flag, value, message % {"known": ", ".join(map(str, roots))})
    pickles = [file for ending in PICKLES for file in folder.glob(ending)]
    if pickles and not list(folder.glob("*.safetensors")):
        raise _refusal(flag, value, _("its weights are pickles, which can run code; expected safetensors"))


def _check_whole(folder: Path, *, flag: str, value: str) -> None:
    """Raises PalateError for weights that were cut off, as by a copy that broke. Reads their headers only."""
    for file in (*folder.glob("*.safetensors"), *folder.glob("copy-*/*.safetensors")):
        if wrong := _damage(file):
            message = _("%(name)s is damaged: %(wrong)s; copy or train the model again")
            raise _refusal(flag, value, message % {"name": file.relative_to(folder), "wrong": wrong})


def _check_complete(folder: Path, *, flag: str, value: str) -> None:
    """Raises PalateError for a folder that lacks its weights, one of their files, or its tokenizer."""
    if not folder.is_dir():
        return  # a hub's name: its client fetches what belongs to it
    for index in folder.glob("*.safetensors.index.json"):
        names = set(_json(index, flag=flag, value=value).get("weight_map", {}).values())
        if missing := sorted(name for name in names if not (folder / name).is_file()):
            message = _("%(name)s is missing, which %(index)s names; copy the model again")
            raise _refusal(flag, value, message % {"name": missing[0], "index": index.name})
    if not any(folder.glob("*.safetensors")):
        raise _refusal(flag, value, _("the folder has no weights; expected model.safetensors beside config.json"))
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise _refusal(flag, value, _("the folder has no tokenizer; expected tokenizer.json beside config.json"))


def _damage(file: Path) -> str:
    """What is wrong with a file of safetensors, "" when nothing is. Its format: eight bytes with the length of the
    header, the header, which says where each tensor ends, the tensors."""
    size = file.stat().st_size
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        if length > MAX_HEADER:
            return _("its header cannot be read")
        if not 0 < length <= size - 8:
            return _("its %(size)d bytes end within the header") % {"size": size}
        try:
            tensors = json.loads(content.read(length))
            end = max((int(t["data_offsets"][1]) for name, t in tensors.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return _("its header cannot be read")
    whole = 8 + length + end
    return _("it has %(size)d bytes of %(whole)d") % {"size": size, "whole": whole} if size < whole else ""


def _config(path: str, *, flag: str, value: str) -> dict[str, Any]:
    file = Path(path) / "config.json"
    if Path(path).is_dir() and not file.is_file():
        message = _("the folder has no config.json; expected a folder that from_pretrained opens")
        raise _refusal(flag, value, message)
    if not file.is_file():
        file = _from_hub(path, flag=flag, value=value)
    return _json(file, flag=flag, value=value)


def _json(file: Path, *, flag: str, value: str) -> dict[str, Any]:
    if file.stat().st_size > MAX_JSON:
        message = _("%(name)s has more than %(most)d MB") % {"name": file.name, "most": MAX_JSON // 1024**2}
        raise _refusal(flag, value, message)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also what is no UTF-8
        message = _("%(name)s is not JSON: %(error)s") % {"name": file.name, "error": error}
        raise _refusal(flag, value, message) from None
    if not isinstance(content, dict):
        raise _refusal(flag, value, _("%(name)s does not describe a model") % {"name": file.name})
    return content


def _from_hub(name: str, *, flag: str, value: str) -> Path:
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise _refusal(flag, value, _("no such folder"))
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    try:
        if not try_to_load_from_cache(name, "config.json"):
            # One question before the download, which would ask a hub that is silent for half a minute.
            get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=5)
        return Path(hf_hub_download(name, "config.json", etag_timeout=5))
    except Exception as error:
        # The hub's client raises many kinds of errors; all mean that there is nothing to load.
        message = _("no such folder or model version, and no model hub answers for this name (%(error)s)")
        raise _refusal(flag, value, message % {"error": type(error).__name__}) from None


def _refusal(flag: str, value: str, message: str) -> PalateError:
    return PalateError(_("%(flag)s %(value)s: %(message)s") % {"flag": flag, "value": value, "message": message})


def _writes_text(config: dict[str, Any]) -> bool:
    names = config.get("architectures") or []
    return any(kind in name for name in names for kind in ("CausalLM", "LMHead", "ForConditionalGeneration"))
