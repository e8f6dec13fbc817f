"""Failures of the database and of a service, and of maintaining them."""

from __future__ import annotations

from credit_wallet.errors.base import WalletError


class DatabaseError(WalletError):
    """The database failed and nothing happened. Subclasses say why."""

    code = "database_error"


class DatabaseLocked(DatabaseError):
    """Another process kept the database locked for longer than the wallet waits."""

    code = "database_locked"


class DatabaseMoved(DatabaseError):
    """The file, or its log, is not the one that was opened: moved, removed, replaced or overwritten.

    On PostgreSQL: the address leads to another server, database or state of the ledger.

    The request is not acknowledged. Retry with the same idempotency key: nothing is done twice.
    """

    code = "database_moved"


class DatabaseUnavailable(DatabaseError):
    """The database's server cannot be reached. Try again with the same idempotency key: nothing is done twice."""

    code = "database_unavailable"


class DatabaseFull(DatabaseError):
    """The disk has no room left for the database or its log."""

    code = "database_full"


class DatabaseReadOnly(DatabaseError):
    """The database or its folder cannot be written."""

    code = "database_read_only"


class DatabaseCorrupt(DatabaseError):
    """The file is damaged or is not a database. Stop, and restore from a backup."""

    code = "database_corrupt"


class DatabaseRefused(DatabaseError):
    """A rule in the database, such as a host's trigger, refused a row."""

    code = "database_refused"


class NoLedger(DatabaseError):
    """The database does not exist or has no wallet tables. Reading and spending do not create them."""

    code = "no_ledger"


class DatabaseUnfit(DatabaseError):
    """The database, or a setting of the wallet's sessions in it, is unfit for a ledger; ``setting`` names it."""

    code = "database_unfit"


class UsedAfterFork(WalletError):
    """This was opened before its process was forked, and belongs to the parent. Open it after the fork."""

    code = "used_after_fork"


class ShareExceeded(WalletError):
    """The wallet has as many requests of this kind in progress as it may; retry when one has finished."""

    code = "share_exceeded"


class ServiceBusy(WalletError):
    """Too many requests of this kind are waiting, or this one took too long. Nothing moved; retry."""

    code = "service_busy"


class ServiceUnreachable(WalletError):
    """The service did not respond, retries included; ``sent`` says whether the request may have reached it."""

    code = "service_unreachable"


class ServiceFailed(WalletError):
    """The service failed; nothing is known to have moved. Try again with the same idempotency key."""

    code = "internal_error"


class UnexpectedResponse(WalletError):
    """The response is not one of this release's service; ``status`` is its HTTP status."""

    code = "unexpected_response"


class CopyRefused(WalletError):
    """A ledger cannot be copied from one database into the other, or what arrived is not what was sent."""

    code = "copy_refused"


class BackupRefused(WalletError):
    """A backup cannot be made or put in place: a file is in the way, or the ledger in it does not verify."""

    code = "backup_refused"


class VerifyInterrupted(WalletError):
    """A process of a proof ended or hung before its part was proved. Nothing is known about the ledger."""

    code = "verify_interrupted"


class MigrationError(WalletError):
    """The schema is not what this release can work with."""

    code = "migration_error"
