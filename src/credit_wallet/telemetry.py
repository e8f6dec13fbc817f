"""Logs: structured, on stderr, without secrets, and each entry one line whatever a request put into it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from credit_wallet.domain.text import one_line


def log_to_stderr() -> None:
    """Send the wallet's logs to stderr, one line of ``key=value`` each, times in UTC.

    So do those of the libraries, from warnings on, which would otherwise print what a request said as it came.
    """
    structlog.configure(
        processors=[structlog.processors.add_log_level, *_BEFORE, *_RENDERING],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # what that is when something is logged
    )
    handler = _ToStderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, *_BEFORE],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERING],
        )
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _ToStderr)]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def warn(event: str, **fields: object) -> None:
    """Log a warning that a user of the library should see too.

    In a program that has not set structlog up it goes to ``logging``: structlog would print it among the program's own
    output.
    """
    if structlog.is_configured():
        structlog.get_logger("credit_wallet").warning(event, **fields)
    else:
        said = " ".join(f"{name}={one_line(str(value))}" for name, value in fields.items())
        logging.getLogger("credit_wallet").warning("%s %s", event, said)


def _on_one_line(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Every text with what a terminal obeys, line breaks included, written as escapes."""
    return {name: _escaped(value) for name, value in event.items()}


def _escaped(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else one_line(str(value))


class _ToStderr(logging.StreamHandler[Any]):
    """Writes to what stderr is when something is logged."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def stream(self) -> Any:
        """stderr."""
        return sys.stderr

    @stream.setter
    def stream(self, stream: Any) -> None:
        """It is always that."""


_BEFORE: tuple[structlog.typing.Processor, ...] = (
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)
_RENDERING: tuple[structlog.typing.Processor, ...] = (
    _on_one_line,
    structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
)
