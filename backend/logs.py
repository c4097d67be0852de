"""How the processes of Kino log: one line per event, pretty on a terminal, JSON otherwise.

Knows: the form of a line, and which keys are never shown.
Does not know: what is logged, and where the lines end up (stderr; the system keeps them).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "[redacted]"
_SECRET: Final = re.compile(
    r"(authorization|cookie|credential|passw(or)?d|secret|signature|(^|[_-])(api[_-]?)?(key|token)s?$)",
    re.IGNORECASE,
)
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_NOT_SECRET: Final = frozenset({"idempotency_key", "key_name"})


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide the value of every key that names a secret, at any depth."""
    return {
        key: value if type(value) in _PLAIN and not _names_secret(key) else _shown(key, value)
        for key, value in event.items()
    }


@lru_cache(maxsize=1024)
def _names_secret(key: str) -> bool:
    return key not in _NOT_SECRET and _SECRET.search(key) is not None


def _shown(key: object, value: Any) -> Any:
    if isinstance(key, str) and _names_secret(key):
        return HIDDEN
    if isinstance(value, Mapping):
        return {inner: _shown(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(None, item) for item in value]
    return value


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["auto", "pretty", "json"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process; libraries' own log lines take the same form.

    Called once by each root of a process. *stream* is stderr unless given.
    """
    out = stream or sys.stderr
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        redact,
    ]
    if pretty:
        # rich's tracebacks show local variables, and with them whatever secret they hold
        plain = structlog.dev.plain_traceback
        render: list[Processor] = [
            structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)
        ]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # our own lines go straight out: the way through the standard library costs four times as much
    structlog.configure(
        processors=[*shared, *render],
        logger_factory=structlog.WriteLoggerFactory(out),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
