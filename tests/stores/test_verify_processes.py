"""A proof in several processes finds what one process finds, at one moment, or says that it was interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import apsw
import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from plain_sql import PlainSql
from rich_ledger import fill

from credit_wallet import CreditWallet, WalletError
from credit_wallet.database_urls import sqlite_path
from credit_wallet.errors import DatabaseMoved, InvalidRequest, VerifyInterrupted
from credit_wallet.stores import Source
from credit_wallet.stores.jobs import verify_processes
from credit_wallet.stores.jobs.proofs.parts import Asked, Part, proved
from credit_wallet.stores.jobs.verify_processes import Processes, sensible_processes
from credit_wallet.stores.sqlite import database as sqlite

CHAIN_ENDS = Part("invariant", ("chain_end",))
PROOFS = 3
NOTHING_ELSE = Asked(None, False, ())

PROGRAM = """
import sys
from credit_wallet import CreditWallet
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.verify_processes import Processes

print("begun", flush=True)
with Processes(2) as provers, provers.at(database_at(sys.argv[1]).open_source()):
    print(*(each._process.pid for each in provers._processes), flush=True)
    sys.stdin.read()
"""


def pids_of(provers: Processes) -> list[int]:
    return [each._process.pid for each in provers._processes]


def is_running(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    return False


def come_to_rest(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether ``condition`` becomes true in time."""
    ends = monotonic() + seconds
    while not condition():
        if monotonic() > ends:
            return False
        sleep(0.01)
    return True


# What is found


@on_every_database
def test_what_is_in_order_is_in_order_for_several(wallets: CreditWallet, clock: Clock) -> None:
    fill(wallets, clock)
    seal = wallets.seals.latest()
    assert seal is not None
    assert wallets.verify([seal], usage=True, processes=2) == []


@on_both_databases
def test_nothing_is_found_while_others_write(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    """Each movement changes several tables, and from some moment on amounts are exact: the proof is of one moment."""
    ids = [wallets.create(monthly_budget_yen=500).wallet_id for _ in range(3)]
    proved = threading.Event()

    def write() -> None:
        with CreditWallet.open(db_url, clock=clock) as other:
            for turn in count():
                if proved.is_set():
                    return
                wallet_id, key = ids[turn % 3], f"turn {turn}"
                other.topup(wallet_id, "90.25" if turn > 9 else 90, idempotency_key=key + "t")
                with suppress(WalletError):
                    charge = other.charge(wallet_id, 40, idempotency_key=key + "c")
                    other.refund(charge.txn_id, 5, idempotency_key=key + "r")
                    other.capture(other.hold(wallet_id, 20, idempotency_key=key + "h").hold_id, 10)
                clock.advance(days=1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [wallets.verify(processes=2) for _ in range(PROOFS)]
    finally:
        proved.set()
        writer.join()
    assert found == [[]] * PROOFS


@on_both_databases
def test_all_processes_are_at_the_moment_of_the_snapshot(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    fill(wallets, clock)
    source = wallets._ledger.reader.source
    with Processes(2) as provers:
        with provers.at(source) as (snapshot, prove):
            with PlainSql(db_url) as host:
                host.run("UPDATE am_credit_wallet SET balance_yen = balance_yen + 1 WHERE wallet_id = 1")
            assert prove([CHAIN_ENDS] * 6, NOTHING_ELSE) == [[]] * 6
            assert proved(snapshot, CHAIN_ENDS, NOTHING_ELSE) == []
        with provers.at(source) as (_, prove):
            later = prove([CHAIN_ENDS] * 6, NOTHING_ELSE)
    assert [[each.wallet_id for each in found] for found in later] == [[1]] * 6


def test_nobody_writes_until_all_have_opened_the_same_snapshot(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    source = wallets._ledger.reader.source
    with closing(apsw.Connection(str(sqlite_path(db_url)))) as other:
        rename = "UPDATE am_credit_wallet SET label = 'later'"
        with source.shared() as shared:
            with pytest.raises(apsw.BusyError):
                other.execute(rename)
            with shared.moment.opened() as opened:
                shared.let_go()
                other.execute(rename)
                assert _label(opened, wallet_id) == _label(shared.source, wallet_id) is None
        assert _label(source, wallet_id) == "later"


def _label(source: Source, wallet_id: int) -> Any:
    [(label,)] = source.rows(
        "SELECT label FROM am_credit_wallet WHERE wallet_id = :wallet_id", {"wallet_id": wallet_id}
    )
    return label


def test_a_file_that_was_replaced_is_not_proved(wallets: CreditWallet) -> None:
    with wallets._ledger.reader.source.shared() as shared:
        assert isinstance(shared.moment, sqlite.SqliteMoment)
        other = shared.moment._replace(identity=(0, 0))
        with Processes(1) as provers, pytest.raises(DatabaseMoved, match="was replaced"):
            provers._all("open", other)


# Interruptions


def prove_disturbed(wallets: CreditWallet, disturb: Callable[[list[int]], None]) -> None:
    """Prove in two processes, which ``disturb`` is told of when both have opened the ledger."""
    with Processes(2) as provers, provers.at(wallets._ledger.reader.source) as (_, prove):
        disturb(pids_of(provers))
        prove([CHAIN_ENDS] * 8, NOTHING_ELSE)


@on_both_databases
@pytest.mark.parametrize("dies", [0, 1])
def test_a_process_that_is_killed_proves_nothing(wallets: CreditWallet, dies: int) -> None:
    with pytest.raises(VerifyInterrupted, match=r"has ended .* nothing is proved"):
        prove_disturbed(wallets, lambda pids: os.kill(pids[dies], signal.SIGKILL))


def test_a_process_that_hangs_proves_nothing(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def stop_the_first(pids: list[int]) -> None:
        seen.extend(pids)
        os.kill(pids[0], signal.SIGSTOP)
        monkeypatch.setattr(verify_processes, "SILENT_SECONDS", 3)

    with pytest.raises(VerifyInterrupted, match="has fallen silent"):
        prove_disturbed(wallets, stop_the_first)
    assert len(seen) == 2
    assert not any(map(is_running, seen))


@contextmanager
def topped_up_meanwhile(wallets: CreditWallet, wallet_id: int) -> Iterator[threading.Event]:
    """The event is set once another thread has topped up the wallet."""
    done = threading.Event()

    def top_up() -> None:
        wallets.topup(wallet_id, 5, idempotency_key="meanwhile")
        done.set()

    thread = threading.Thread(target=top_up)
    thread.start()
    yield done
    thread.join()


def test_a_process_that_hangs_at_the_beginning_lets_others_write(
    wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "HOLD_WRITERS_SECONDS", 1)
    wallet_id = wallets.create().wallet_id
    with Processes(2) as provers:
        os.kill(pids_of(provers)[1], signal.SIGSTOP)
        monkeypatch.setattr(verify_processes, "SILENT_SECONDS", 3)
        with (
            topped_up_meanwhile(wallets, wallet_id) as topped_up,
            pytest.raises(VerifyInterrupted, match="has fallen silent"),
            provers.at(wallets._ledger.reader.source),
        ):
            pytest.fail("one has not opened the snapshot")
        assert topped_up.is_set()


def test_a_process_that_is_late_gets_another_chance(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "HOLD_WRITERS_SECONDS", 1)
    with Processes(2) as provers:
        late = pids_of(provers)[1]
        os.kill(late, signal.SIGSTOP)
        timer = threading.Timer(1.5, os.kill, (late, signal.SIGCONT))
        timer.start()
        with provers.at(wallets._ledger.reader.source) as (_, prove):
            assert prove([CHAIN_ENDS] * 4, NOTHING_ELSE) == [[]] * 4
        timer.join()


@contextmanager
def proving(db_url: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A program in the middle of a proof, in a process group of its own, and the processes that prove."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, db_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "begun\n"
            yield program, [int(pid) for pid in program.stdout.readline().split()]
        finally:
            program.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_who_asked(wallets: CreditWallet, db_url: str, how: signal.Signals) -> None:
    with proving(db_url) as (program, pids):
        assert all(map(is_running, pids))
        assert len(pids) == 2
        if how is signal.SIGINT:
            os.killpg(program.pid, how)  # as Ctrl-C does
        else:
            program.send_signal(how)
        program.wait(timeout=30)
        assert come_to_rest(lambda: not any(map(is_running, pids)))
        said = program.communicate()[1]
        assert "prover" not in said, said
        assert wallets.create().wallet_id == 1


@pytest.mark.usefixtures("wallets")
def test_a_program_that_is_not_prepared_for_it_is_not_run_again(db_url: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"""
print("once")
from credit_wallet import CreditWallet
with CreditWallet.open({db_url!r}) as wallets:
    print(wallets.verify(processes=2))
""",
        encoding="utf-8",
    )
    (tmp_path / "apsw.py").write_text("raise SystemExit('a module of the folder that it was called in')")
    run = subprocess.run(
        [sys.executable, "-P", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.stdout, run.stderr) == ("once\n[]\n", "")


# How many


@pytest.mark.parametrize("processes", [0, -1, 65, True, 2.0, "2"])
def test_only_a_number_of_processes_is_one(wallets: CreditWallet, processes: Any) -> None:
    with pytest.raises(InvalidRequest, match="processes must be 1 to 64"):
        wallets.verify(processes=processes)


def test_few_entries_are_proved_in_one_process(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_processes, "_cores", lambda: 12)
    wallets.topup(wallets.create().wallet_id, 5, idempotency_key="k")
    source = wallets._ledger.reader.source
    assert sensible_processes(source) == 1
    monkeypatch.setattr(verify_processes, "MANY_ENTRIES", 1)
    assert sensible_processes(source) == 4
    monkeypatch.setattr(verify_processes, "_cores", lambda: 2)
    assert sensible_processes(source) == 2
    assert wallets.verify(processes=None) == []
