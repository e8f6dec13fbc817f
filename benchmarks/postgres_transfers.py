"""Double-entry transfers in PostgreSQL, which the wallet's charges are compared with: pgledger.

``own(path)`` loads a copy of pgledger's SQL (https://github.com/pgr0ss/pgledger). ``EQUIVALENT``, where there is none,
is pgledger's single transfer **written anew for this benchmark and not pgledger's own code**: the same locks, checks,
rows, foreign keys and one transaction per call. It is lighter than the original: ids are numbers instead of ULIDs as
text, amounts are BIGINT, a transfer is one function without arrays, and three of the five secondary indexes are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import LiteralString, NamedTuple

import psycopg
from postgres_baselines import schema

from credit_wallet.cli.workloads import CREDIT_YEN, PRICE_YEN, Workload, drawn, repeated

SCHEMA: LiteralString = "credit_wallet_benchmark_transfers"
"""Where the tables of transfers are: the first of the search path."""

ANALYSED_TRANSFERS = 1_000
"""Made before the tables are analysed."""

OPERATORS = 100
"""Accounts that are paid: enough of them that payers seldom wait for each other."""

Account = int | str


class Transfers(NamedTuple):
    """A ledger of transfers, as SQL in the search path of ``SCHEMA``."""

    name: str
    create: LiteralString
    create_accounts: LiteralString
    """With ``%(yen)s`` each, ``%(count)s`` of them; returns their ids."""

    transfer: LiteralString
    """From, to, yen."""

    tables: LiteralString
    made: LiteralString
    """How many transfers there are."""

    mismatches: LiteralString
    """How many accounts disagree with their entries."""


_CREATE_TRANSFERS: LiteralString = """
CREATE TABLE accounts (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    balance        bigint NOT NULL DEFAULT 0,
    version        bigint NOT NULL DEFAULT 0,
    allow_negative boolean NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE transfers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_id    bigint NOT NULL REFERENCES accounts,
    to_id      bigint NOT NULL REFERENCES accounts,
    amount     bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (amount > 0 AND from_id <> to_id)
);
CREATE TABLE entries (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id       bigint NOT NULL REFERENCES accounts,
    transfer_id      bigint NOT NULL REFERENCES transfers,
    amount           bigint NOT NULL,
    previous_balance bigint NOT NULL,
    current_balance  bigint NOT NULL,
    account_version  bigint NOT NULL,
    created_at       timestamptz NOT NULL
);
CREATE INDEX ON transfers (from_id);
CREATE INDEX ON entries (account_id);
CREATE INDEX ON entries (transfer_id);

CREATE FUNCTION transfer(payer bigint, payee bigint, yen bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    source accounts;
    target accounts;
    transfer_id bigint;
BEGIN
    PERFORM 1 FROM accounts WHERE id = least(payer, payee) FOR UPDATE;
    PERFORM 1 FROM accounts WHERE id = greatest(payer, payee) FOR UPDATE;
    UPDATE accounts SET balance = balance - yen, version = version + 1, updated_at = now()
    WHERE id = payer RETURNING * INTO STRICT source;
    IF source.balance < 0 AND NOT source.allow_negative THEN
        RAISE EXCEPTION 'account % may not be negative', payer;
    END IF;
    UPDATE accounts SET balance = balance + yen, version = version + 1, updated_at = now()
    WHERE id = payee RETURNING * INTO STRICT target;
    INSERT INTO transfers (from_id, to_id, amount, created_at)
    VALUES (payer, payee, yen, now()) RETURNING id INTO transfer_id;
    INSERT INTO entries
        (account_id, transfer_id, amount, previous_balance, current_balance, account_version, created_at)
    VALUES (payer, transfer_id, -yen, source.balance + yen, source.balance, source.version, now()),
           (payee, transfer_id, yen, target.balance - yen, target.balance, target.version, now());
    RETURN transfer_id;
END
$$
"""
EQUIVALENT = Transfers(
    "pgledger's equivalent",
    _CREATE_TRANSFERS,
    """
    INSERT INTO accounts (balance, allow_negative) SELECT %(yen)s, false FROM generate_series(1, %(count)s) RETURNING id
    """,
    "SELECT transfer(%s, %s, %s)",
    "accounts, transfers, entries",
    "SELECT count(*) FROM transfers",
    """
    SELECT count(*) FROM accounts a
    WHERE a.balance <> (SELECT e.current_balance FROM entries e
                        WHERE e.account_id = a.id AND e.account_version = a.version)
       OR a.version <> (SELECT count(*) FROM entries e WHERE e.account_id = a.id)
    """,
)


def own(path: Path) -> Transfers:
    """pgledger from a checkout of it: its ``pgledger.sql``, and the functions for its ids beside it.

    Its accounts may be negative, so that they need no credit to start with.
    """
    beside = path.parent / "vendor" / "scoville-pgsql-ulid"
    files = (beside / "ulid-to-uuid.sql", beside / "uuid-to-ulid.sql", path)
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SystemExit(f"--pgledger wants pgledger.sql in a checkout of pgledger; missing: {', '.join(missing)}")
    return Transfers(
        "pgledger",
        "\n".join(file.read_text(encoding="utf-8") for file in files),
        """
        SELECT made.id FROM generate_series(1, %(count)s) AS n, pgledger_create_account(n::text, 'JPY') AS made
        """,
        "SELECT id FROM pgledger_create_transfer(%s, %s, %s)",
        "pgledger_accounts, pgledger_transfers, pgledger_entries",
        "SELECT count(*) FROM pgledger_transfers",
        """
        SELECT count(*) FROM pgledger_accounts a
        WHERE a.balance <> (SELECT e.account_current_balance FROM pgledger_entries e
                            WHERE e.account_id = a.id AND e.account_version = a.version)
           OR a.version <> (SELECT count(*) FROM pgledger_entries e WHERE e.account_id = a.id)
        """,
    )


@contextmanager
def ledger_of(
    connection: psycopg.Connection, ledger: Transfers, payers: int
) -> Iterator[tuple[list[Account], list[Account]]]:
    """Analysed tables of transfers, for as long as they are needed; the accounts that pay, and those that are paid."""
    with schema(connection, SCHEMA):
        _look_there(connection)
        connection.execute(ledger.create)
        accounts = (
            _create_accounts(connection, ledger, payers, CREDIT_YEN),
            _create_accounts(connection, ledger, OPERATORS, 0),
        )
        some = zip(drawn(accounts[0]), drawn(accounts[1]), strict=True)
        with connection.transaction():
            for payer, payee in islice(some, ANALYSED_TRANSFERS):
                connection.execute(ledger.transfer, (payer, payee, PRICE_YEN))
        connection.execute(
            f"ANALYZE {ledger.tables}"
        )  # plans that were made for empty tables read them from end to end
        yield accounts
        connection.execute("RESET search_path")


@contextmanager
def transfers(
    url: str, ledger: Transfers, payer_ids: Sequence[Account], payee_ids: Sequence[Account]
) -> Iterator[Workload]:
    """Transfers from accounts drawn at random to accounts drawn at random, one transaction each."""
    payers, payees = drawn(payer_ids), drawn(payee_ids)
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection, connection.cursor() as cursor:
        _look_there(connection)

        def transfer_one() -> float:
            payer, payee = next(payers), next(payees)
            started = perf_counter()
            cursor.execute(ledger.transfer, (payer, payee, PRICE_YEN)).fetchall()
            return perf_counter() - started

        yield repeated(transfer_one, 1)


def count_transfers(connection: psycopg.Connection, ledger: Transfers) -> int:
    """The number of transfers that were measured, after seeing that accounts and entries agree."""
    ((mismatches,),) = connection.execute(ledger.mismatches).fetchall()
    assert not mismatches, f"{mismatches} accounts disagree with their entries"
    ((count,),) = connection.execute(ledger.made).fetchall()
    return int(count) - ANALYSED_TRANSFERS


def _look_there(connection: psycopg.Connection) -> None:
    connection.execute(f"SET search_path TO {SCHEMA}, public")


def _create_accounts(connection: psycopg.Connection, ledger: Transfers, count: int, yen: int) -> list[Account]:
    rows = connection.execute(ledger.create_accounts, {"count": count, "yen": yen}).fetchall()
    return [account_id for (account_id,) in rows]
