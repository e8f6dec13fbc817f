"""What the driver and its pool log, in the wallet's own words: an outage is two lines, not ten a second.

The pool warns of every try to connect, and the driver of what it cannot tell anybody else. Outages are said by
``postgres_identity.Outage``; so what is about a pool or a connection of ours is left out. Other pools and connections
of the same program are their program's affair.
"""

from __future__ import annotations

import logging

from credit_wallet.stores.postgres.ledger import LedgerConnection
from credit_wallet.telemetry import Logger

LOGGERS = ("psycopg", "psycopg.pool")

_log = Logger("credit_wallet.stores")


class _OwnLines(logging.Filter):
    """Leaves out what a pool named in ``pools`` says, and what is said of connections of ours."""

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
    """Whether it is a connection of ours, or a pipeline on one."""
    return isinstance(about, LedgerConnection) or isinstance(getattr(about, "_conn", None), LedgerConnection)


_own_lines = _OwnLines()


def keep_quiet_about(pool: str) -> None:
    """Leave out of the logs what the pool of this name says of its tries to connect."""
    _own_lines.pools.add(pool)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if _own_lines not in logger.filters:
            logger.addFilter(_own_lines)
