"""Logs of all processes through structlog: a line for people, or one JSON object a line with LOG_FORMAT=json.

Request and run ids come from structlog's context, so that every line within a request or a run carries them.
"""

from collections.abc import MutableMapping
from typing import Any

import structlog

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure(*, level: str, form: str) -> dict[str, Any]:
    """Set up structlog and return Django's LOGGING for the same lines."""
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Any] = [structlog.processors.format_exc_info]
    last.append(structlog.processors.JSONRenderer(ensure_ascii=False) if form == "json" else render_line)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
                "foreign_pre_chain": SHARED,
            },
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["console"], "level": level},
    }


KEY_VALUES = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "logger", "event"])


def render_line(logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
    """One line, and below it the traceback of an exception. Its lines are indented: whatever text an exception carries,
    it cannot pass for a line of the log."""
    traceback = event.pop("exception", "")
    line = KEY_VALUES(logger, name, event)
    return line + "".join(f"\n    {part}" for part in traceback.splitlines())
