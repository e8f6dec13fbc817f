"""Filters on the logs of the driver and its pool: an outage takes two lines, not ten a second.

The pool logs every failed attempt to connect, and the driver errors that it cannot raise. ``identity.Outage`` logs
outages, so records about our pools and connections are dropped. Those about other pools and connections of the same
program are kept.
"""

from __future__ import annotations

import logging

from credit_wallet.stores.postgres.ledger import LedgerConnection
from credit_wallet.telemetry import Logger

LOGGERS = ("psycopg", "psycopg.pool")

_log = Logger("credit_wallet.stores")


class _OwnLines(logging.Filter):
    """Drops records of the pools named in ``pools``, and records about our connections."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        about = record.args if isinstance(record.args, tuple) else ()
        pools = self.pools.intersection(each for each in about if isinstance(each, str))
        if not pools and not any(map(_is_ours, about)):
            return True
        if record.levelno >= logging.ERROR:
            _log.error("driver_failed", message=record.getMessage(), exc_info=record.exc_info)
        return False


def _is_ours(about: object) -> bool:
    """Whether it is one of our connections, or a pipeline on one."""
    return isinstance(about, LedgerConnection) or isinstance(getattr(about, "_conn", None), LedgerConnection)


_own_lines = _OwnLines()


def keep_quiet_about(pool: str) -> None:
    """Drop the log records of the pool of this name about its attempts to connect."""
    _own_lines.pools.add(pool)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if _own_lines not in logger.filters:
            logger.addFilter(_own_lines)
