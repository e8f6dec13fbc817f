"""Logs: structured, on stderr, without secrets."""

from __future__ import annotations

import logging
import sys

import structlog


def log_to_stderr() -> None:
    """Send the wallet's logs to stderr, one line of ``key=value`` each, times in UTC."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # what that is when something is logged
    )


def warn(event: str, **fields: object) -> None:
    """Log a warning that a user of the library should see too.

    In a program that has not set structlog up it goes to ``logging``: structlog would print it among the program's own
    output.
    """
    if structlog.is_configured():
        structlog.get_logger("credit_wallet").warning(event, **fields)
    else:
        said = " ".join(f"{name}={value}" for name, value in fields.items())
        logging.getLogger("credit_wallet").warning("%s %s", event, said)
