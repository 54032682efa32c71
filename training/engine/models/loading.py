"""Load the body of a pretrained model with a new head."""

import logging
from collections.abc import Iterable
from typing import Any

REPORT = "LOAD REPORT"  # how transformers heads its table of the weights that it did not find or did not need


def with_fresh_head(kind: Any, base: str, *, cut: bool = False, **options: Any) -> Any:
    """`kind.from_pretrained(base)`, where a fresh head takes the place of the one that the base was saved with, which
    is no reason for a warning. transformers' table is shown when anything of the body differs. cut: fewer layers are
    wanted than the base has."""
    load_reports: list[logging.LogRecord] = []

    def is_other_message(record: logging.LogRecord) -> bool:
        if REPORT not in record.getMessage():
            return True
        load_reports.append(record)
        return False

    logger = logging.getLogger("transformers.modeling_utils")
    logger.addFilter(is_other_message)
    expected = False
    try:
        model, info = kind.from_pretrained(base, output_loading_info=True, **options)
        unexpected = [] if cut else info["unexpected_keys"]
        expected = not (
            info["mismatched_keys"]
            or any(_of_body(model, info["missing_keys"], whole=model.base_model is model))
            or any(_of_body(model, unexpected, whole=False))
        )
    finally:
        logger.removeFilter(is_other_message)
        if not expected:
            for record in load_reports:
                logger.handle(record)
    return model


def _of_body(model: Any, keys: Iterable[str], *, whole: bool) -> list[str]:
    """The keys of weights of the body, but for what pools its states for a head. whole: the model is nothing else."""
    prefix = f"{model.base_model_prefix}."
    inner = [key.removeprefix(prefix) for key in keys if whole or key.startswith(prefix)]
    return [key for key in inner if not key.startswith("pooler.")]
