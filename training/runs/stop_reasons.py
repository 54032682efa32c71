"""Why a run ended before its last step, in the reader's language."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from training.engine.runtime.stopping import STOPS


def stop_sentence(result: Mapping[str, Any]) -> str:
    """Why a training ended before its last step, of an ensemble each reason; older runs kept an English sentence."""
    found = result.get("stop") or result.get("stopped") or []
    reasons = found if isinstance(found, list) else [found]
    said = (gettext(STOPS[why["reason"]]) % why if isinstance(why, dict) else str(why) for why in reasons)
    return "; ".join(dict.fromkeys(said))
