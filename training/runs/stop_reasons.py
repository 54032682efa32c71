"""The reason why a run ended before its last step, in the reader's language."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from training.engine.runtime.stopping import STOPS


def stop_sentence(result: Mapping[str, Any]) -> str:
    """Return why a training ended early, with each distinct reason of an ensemble; older runs stored English
    sentences."""
    value = result.get("stop_reason") or result.get("stopped") or []
    reasons = value if isinstance(value, list) else [value]
    sentences = (gettext(STOPS[why["reason"]]) % why if isinstance(why, dict) else str(why) for why in reasons)
    return "; ".join(dict.fromkeys(sentences))
