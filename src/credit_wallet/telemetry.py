"""Logs: structured, on stderr, without secrets."""

from __future__ import annotations

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
