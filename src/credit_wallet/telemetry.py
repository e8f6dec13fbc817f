"""Logs: structured, on stderr, without secrets, and each entry one line whatever a request put into it.

``structlog`` is imported with the first entry: most commands of the command line log nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from credit_wallet.config import LOG_FORMAT, LOG_LEVEL
from credit_wallet.domain.text import escaped_in_json, one_line

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
    """Send the wallet's logs to stderr, one line each, times in UTC, in the form and from the level that are set.

    So do those of the libraries, from warnings on, which would otherwise print what a request said as it came. Raises
    ``InvalidRequest`` for settings that are not allowed.
    """
    _Form.is_json = LOG_FORMAT.read() == "json"
    _Form.level = logging.getLevelNamesMapping()[LOG_LEVEL.read().upper()]
    entries_to_stderr()
    handler = _ToStderr()
    handler.setFormatter(_OneLine())
    handler.addFilter(_says_no_address)
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _ToStderr)]
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, _Form.level))


def entries_to_stderr() -> None:
    """Send the wallet's own entries to stderr and leave ``logging`` as the program has set it up."""
    _Pending.configuration = True
    if "structlog" in sys.modules:
        _structlog()


def prepare_logs() -> None:
    """Log as a service does, in JSON unless text is set or a person looks on; import now what the first entry needs, as
    a process that runs for long may write it when it is being stopped.
    """
    chosen = LOG_FORMAT.read()
    _Form.is_json = chosen == "json" or (chosen is None and not sys.stderr.isatty())
    _structlog()


def write_entries(entries: Iterable[Mapping[str, object]]) -> None:
    """Write entries that were collected, each with its ``timestamp``, ``level`` and ``event``, in one go."""
    if lines := [line_of(each) for each in entries]:
        sys.stderr.write("".join(lines))
        sys.stderr.flush()


def line_of(entry: Mapping[str, object]) -> str:
    """The line of an entry, in the form that is set."""
    return f"{_rendered(None, '', dict(entry))}\n"


def logs_from(level: str) -> bool:
    """Whether entries of ``level`` are logged."""
    return logging.getLevelNamesMapping()[level.upper()] >= _Form.level


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


class _Form:
    is_json = False
    level = logging.INFO


class _Pending:
    configuration = False
    """Whether ``structlog`` is to be set up for stderr once it is imported."""


def _structlog() -> Any:
    """The library, set up as ``log_to_stderr`` wants it, if that was called."""
    import structlog

    if _Pending.configuration:
        _Pending.configuration = False
        structlog.configure(
            processors=[structlog.processors.add_log_level, *_before(), _rendered],
            wrapper_class=structlog.make_filtering_bound_logger(_Form.level),
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # what that is when something is logged
        )
    return structlog


def _before() -> tuple[structlog.typing.Processor, ...]:
    import structlog

    return (structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info)


def _rendered(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
    """The line of an entry, in the form that is set when it is written."""
    return _as_json(event) if _Form.is_json else str(_text_renderer()(logger, name, _on_one_line(event)))


@cache
def _text_renderer() -> structlog.processors.LogfmtRenderer:
    import structlog

    return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])


def _as_json(event: Mapping[str, Any]) -> str:
    """An object on one line; what a terminal obeys is escaped, which msgspec does for the ASCII of it alone."""
    from msgspec import json

    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    line = json.encode({**first, **{name: _encodable(value) for name, value in event.items()}}, enc_hook=str).decode()
    return escaped_in_json(line)


def _encodable(value: Any) -> Any:
    """Text without halves of characters, which UTF-8 cannot say."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _on_one_line(event: structlog.typing.EventDict) -> structlog.typing.EventDict:
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _rendered],
        )
        line: str = formatter.format(record)
        return line


def _says_no_address(record: logging.LogRecord) -> bool:
    """Whether a library's entry may be logged: Apprise's name mailboxes, and the tokens in the addresses of services.

    The wallet has an entry of its own for each notice that is not delivered, which names the target by its number.
    """
    return record.name.partition(".")[0] != "apprise"


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
