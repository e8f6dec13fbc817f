"""The command that copies a ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from copied_book import TABLES, Book, Shell, assert_equal, die_copying, on_plain_tables, rows_of
from databases import on_postgres

from credit_wallet import CreditWallet

pytestmark = on_postgres


@on_plain_tables
def test_the_command_answers_in_json_alone(book: Book, target: str, run: Shell) -> None:
    done = run("--json", "copy", book.url, target)
    assert done.code == 0
    assert all("event=opening_without_entries" in line for line in done.err.splitlines()), done.err  # a warning
    answer = json.loads(done.out)
    rows = rows_of(book.url, book.url)
    assert answer == {"resumed": False, **{table: len(rows[table]) for table in TABLES}}
    assert_equal(book, target)
    again = run("--json", "copy", book.url, target)
    assert again.code == 1
    assert json.loads(again.out)["code"] == "copy_refused"


@on_plain_tables
def test_the_command_goes_on_with_a_copy_that_was_killed(book: Book, target: str, run: Shell) -> None:
    die_copying(book, target, "copying am_credit_idempotency", 14)
    refused = run("--db", target, "wallet", "list")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("migration_error: a copy into ")
    done = run("copy", book.url, target)
    assert done.code == 0, done.err
    assert dict(line.split() for line in done.out.splitlines())["resumed"] == "yes"
    with CreditWallet.open(target) as wallets:
        wallets.maintenance.seal()  # as the worker would have for half a year
    assert run("--db", target, "verify").code == 0


SECRET = "s3cret"  # noqa: S105


@on_plain_tables
@pytest.mark.parametrize(
    ("source", "there", "code"),
    [
        ("{sqlite}", "{sqlite}", "invalid_request"),
        ("{postgres}", "{postgres}", "invalid_request"),
        ("{postgres}", "{sqlite}", "invalid_request"),
        ("wallet.db", "{postgres}", "invalid_request"),
        ("{sqlite}", "mysql://somebody:s3cret@127.0.0.1/wallet", "invalid_request"),
        ("{sqlite}", "postgresql://somebody:s3cret@127.0.0.1:port/wallet", "invalid_request"),
        ("{sqlite}", "postgresql://somebody:s3cret@127.0.0.1:1/wallet", "database_unavailable"),
        ("sqlite:////nowhere/wallet.db", "{postgres}", "no_ledger"),
    ],
)
def test_wrong_urls_are_told_of(book: Book, target: str, run: Shell, source: str, there: str, code: str) -> None:
    words = [url.format(sqlite=book.url, postgres=target) for url in (source, there)]
    told, answered = run("copy", *words), run("--json", "copy", *words)
    assert (told.code, told.out, answered.code) == (1, "", 1)
    assert any(line.startswith(f"{code}: ") for line in told.err.splitlines())  # between what is warned of
    assert json.loads(answered.out)["code"] == code
    assert SECRET not in told.err + answered.out + answered.err
    assert not Path("/nowhere").exists()
