"""The model card as a file: what a model hub reads of a model, as YAML, before the text that people read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNKNOWN_LICENSE = {"license": "other", "license_name": "unknown"}
LICENSE = ("license", "license_name", "license_link")


@dataclass(frozen=True)
class Facts:
    """What a card says to machines. base: a folder or a hub's name, "" for a model from nothing. origin: what stands
    under `palate`, such as the snapshot's hash. figures: by name, of the data that `measured_on` names."""

    base: str
    tags: Sequence[str]
    origin: Mapping[str, Any]
    figures: Mapping[str, float | None]
    measured_on: str
    task: str = field(default="text-generation")


def write(folder: Path, name: str, text: str, facts: Facts) -> None:
    """Write README.md into a model's folder, which has its config.json already."""
    from huggingface_hub import EvalResult, ModelCardData

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    results = [
        EvalResult(
            task_type=facts.task, dataset_type="palate", dataset_name=facts.measured_on, metric_type=figure,
            metric_value=value,
        )
        for figure, value in facts.figures.items()
        if value is not None
    ]  # fmt: skip
    data = ModelCardData(
        # Palate's own small classes open in transformers only where Palate registers them.
        library_name="palate" if str(config.get("model_type")).startswith("palate-") else "transformers",
        pipeline_tag=facts.task,
        tags=["palate", *facts.tags],
        model_name=name,
        eval_results=results or None,
        palate=dict(facts.origin),
        **_inherited(facts.base),
    )
    (folder / "README.md").write_text(f"---\n{data.to_yaml()}\n---\n\n{text}", encoding="utf-8")


def _inherited(base: str) -> dict[str, Any]:
    """The licence that the base's card states, or that none is known; and the base by its name on a hub. A folder of
    this machine is not told: for one stands what its own card names."""
    card = _card_of(base) if base else {}
    license = {key: card[key] for key in LICENSE if card.get(key)} if card.get("license") else UNKNOWN_LICENSE
    named = card.get("base_model") if not base or Path(base).is_dir() else base
    return {**license, **({"base_model": named} if named else {})}


def _card_of(base: str) -> dict[str, Any]:
    from huggingface_hub import ModelCard, hf_hub_download

    try:
        file = Path(base) / "README.md"
        if not Path(base).is_dir():
            file = Path(hf_hub_download(base, "README.md", etag_timeout=5))
        return dict(ModelCard.load(file, ignore_metadata_errors=True).data.to_dict())
    except Exception:
        # Cards are optional and written by hand, and the hub may be away: nothing is known then.
        return {}
