"""Logs: structured, on stderr, without secrets, and each entry one line whatever a request put into it.

``structlog`` is imported with the first entry: most commands of the command line log nothing.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from credit_wallet.domain.text import one_line

if TYPE_CHECKING:
    import structlog


class Logger:
    """The log of one part of the program: ``structlog``'s, from the first entry on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, level: str) -> Any:
        """``debug``, ``info``, ``warning``, ``error`` or ``exception``."""
        return getattr(_structlog().get_logger(self._name), level)


def log_to_stderr() -> None:
    """Send the wallet's logs to stderr, one line of ``key=value`` each, times in UTC.

    So do those of the libraries, from warnings on, which would otherwise print what a request said as it came.
    """
    entries_to_stderr()
    handler = _ToStderr()
    handler.setFormatter(_OneLine())
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _ToStderr)]
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def entries_to_stderr() -> None:
    """Send the wallet's own entries to stderr and leave ``logging`` as the program has set it up."""
    _Pending.configuration = True
    if "structlog" in sys.modules:
        _structlog()


def prepare_logs() -> None:
    """Import now what the first entry needs: a process that runs for long may write it when it is being stopped."""
    _structlog()


def warn(event: str, **fields: object) -> None:
    """Log a warning that a user of the library should see too.

    In a program that has not set structlog up it goes to ``logging``: structlog would print it among the program's own
    output.
    """
    if _Pending.configuration or ("structlog" in sys.modules and sys.modules["structlog"].is_configured()):
        _structlog().get_logger("credit_wallet").warning(event, **fields)
    else:
        said = " ".join(f"{name}={one_line(str(value))}" for name, value in fields.items())
        logging.getLogger("credit_wallet").warning("%s %s", event, said)


class _Pending:
    configuration = False
    """Whether ``structlog`` is to be set up for stderr once it is imported."""


def _structlog() -> Any:
    """The library, set up as ``log_to_stderr`` wants it, if that was called."""
    import structlog

    if _Pending.configuration:
        _Pending.configuration = False
        structlog.configure(
            processors=[structlog.processors.add_log_level, *_before(), *_rendering()],
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # what that is when something is logged
        )
    return structlog


def _before() -> tuple[structlog.typing.Processor, ...]:
    import structlog

    return (structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info)


def _rendering() -> tuple[structlog.typing.Processor, ...]:
    import structlog

    return (_on_one_line, structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]))


def _on_one_line(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Every text with what a terminal obeys, line breaks included, written as escapes."""
    return {name: _escaped(value) for name, value in event.items()}


def _escaped(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else one_line(str(value))


class _OneLine(logging.Formatter):
    """Entries of the standard library's ``logging`` in the form of the wallet's own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        structlog = _structlog()
        formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, *_before()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
        )
        line: str = formatter.format(record)
        return line


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
