"""What can happen to a SQLite file: no room, no permission, damage. Nothing acknowledged is lost, nothing made up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import apsw
import pytest

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import DatabaseCorrupt, DatabaseFull, WalletError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of ``db_url``."""
    return tmp_path / "wallet.db"


def funded(wallets: CreditWallet, amount_yen: int = 1_000) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, amount_yen, idempotency_key="start")
    return wallet_id


def run_python(program: str, *arguments: object) -> list[str]:
    """The lines that ``program`` prints in a process of its own, which must end well."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(program), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# No room


def test_a_full_disk_stops_spending_until_there_is_room_again(path: Path) -> None:
    """RLIMIT_FSIZE is the disk here: no file of the process may grow beyond it."""
    balance_yen, acknowledged, error, *others = run_python(
        """
        import resource, sys
        from pathlib import Path
        from credit_wallet import CreditWallet
        from credit_wallet.errors import DatabaseError

        wallets = CreditWallet.open(f"sqlite:///{sys.argv[1]}")
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 1_000_000, idempotency_key="start")
        acknowledged = 0

        def charge_until_full():
            global acknowledged
            while True:
                outcomes = wallets.charge_many((wallet_id, 1, f"charge-{acknowledged + n}") for n in range(100))
                acknowledged += sum(not outcome.replayed for outcome in outcomes)

        no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        errors = set()
        empty = max(each.stat().st_size for each in Path(sys.argv[1]).parent.iterdir())
        for kib in (256, 512, 768):
            resource.setrlimit(resource.RLIMIT_FSIZE, (empty + kib * 1024, no_limit[1]))
            before = acknowledged
            for _ in range(3):
                try:
                    charge_until_full()
                except DatabaseError as error:
                    errors.add(str(error))
            assert acknowledged > before
            assert wallets.balance(wallet_id) == 1_000_000 - acknowledged
            resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
        assert not wallets.charge(wallet_id, 1, idempotency_key="room-again").replayed
        assert wallets.verify() == []
        print(wallets.balance(wallet_id), acknowledged, *errors, sep="\\n")
        wallets.close()
        """,
        path,
    )
    assert "nothing is acknowledged" in error
    assert others == []
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        assert wallets.balance(1) == int(balance_yen) == 1_000_000 - int(acknowledged) - 1
        replays = wallets.charge_many((1, 1, f"charge-{n}") for n in range(int(acknowledged)))
        assert all(isinstance(replay, Outcome) and replay.replayed for replay in replays)
        assert wallets.verify() == []


def test_a_database_without_room_says_so(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallet_id = funded(wallets)
        limit_pages(wallets, 1)
        charges = [(wallet_id, 1, f"charge-{n}") for n in range(200)]
        with pytest.raises(DatabaseFull, match="no room is left"):
            wallets.charge_many(charges)
        assert wallets.balance(wallet_id) == 1_000
        limit_pages(wallets, 2**32 - 2)
        assert not any(isinstance(each, WalletError) or each.replayed for each in wallets.charge_many(charges))
        assert wallets.balance(wallet_id) == 800
        assert wallets.verify() == []


def limit_pages(wallets: CreditWallet, pages: int) -> None:
    """Let the database grow to ``pages``; SQLite takes a number below its present size for that size."""
    wallets._ledger.lanes.maintenance.call(
        lambda store: store.run(lambda connection: connection.pragma("max_page_count", pages))
    )


# No permission


@pytest.fixture
def everybodys_folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("read_only", ["file", "folder", "file and folder"])
def test_a_database_that_may_not_be_written_says_so_until_it_may(everybodys_folder: Path, read_only: str) -> None:
    """Root may write everything, so the child becomes somebody else."""
    lines = run_python(
        """
        import os, sys
        from pathlib import Path
        from credit_wallet import CreditWallet
        from credit_wallet.errors import DatabaseError

        folder, read_only = Path(sys.argv[1]), sys.argv[2]
        file = folder / "wallet.db"

        def charge(key):
            with CreditWallet.open(f"sqlite:///{file}") as wallets:
                print(wallets.charge(1, 1, idempotency_key=key).balance_yen)
                assert wallets.verify() == []

        with CreditWallet.open(f"sqlite:///{file}") as wallets:
            wallets.topup(wallets.create().wallet_id, 10, idempotency_key="start")
        charge("first")
        if os.geteuid() == 0:
            somebody = 65534
            os.chown(folder, somebody, somebody)
            os.chown(file, somebody, somebody)
            os.setuid(somebody)
        if "file" in read_only:
            file.chmod(0o444)
        if "folder" in read_only:
            folder.chmod(0o555)
        try:
            charge("second")
        except DatabaseError as error:
            print(error.code)
        folder.chmod(0o755)
        file.chmod(0o644)
        charge("first")
        charge("second")
        """,
        everybodys_folder,
        read_only,
    )
    assert lines == ["9", "database_read_only", "9", "8"]


# Damage


@pytest.fixture
def ledger(path: Path, db_url: str) -> Path:
    """A sealed ledger of two wallets, closed; the first has a charge of ¥4,660 with a note about tea."""
    with CreditWallet.open(db_url) as wallets:
        for amount_yen, note in ((4_660, "tea for two and two for tea"), (1, None)):
            wallet_id = funded(wallets, 54_321)
            wallets.charge(wallet_id, amount_yen, idempotency_key="first", note=note)
            wallets.charge_many((wallet_id, 1, f"charge-{n}") for n in range(300))
        while wallets.maintenance.seal():
            pass
        assert wallets.verify() == []
    return path


def page_of(path: Path, table: str) -> tuple[int, int]:
    """Where the root page of a table begins in the file, and how long it is."""
    with closing(apsw.Connection(str(path))) as connection:
        page_size = connection.pragma("page_size")
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get
        return (root - 1) * page_size, page_size


def overwrite(path: Path, position: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Change ``old`` wherever it stands in the file: pages keep leftovers of what they held before."""
    content = path.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: overwrite(path, 0, bytes(16)), id="magic"),
        pytest.param(lambda path: overwrite(path, 16, b"\xff\xff"), id="page-size"),
        pytest.param(lambda path: overwrite(path, 100, b"\xff" * 64), id="schema"),
        pytest.param(lambda path: path.write_text("no database\n" * 1_000), id="another-file"),
        pytest.param(cut_in_half, id="cut-in-half"),
    ],
)
def test_what_is_no_database_any_more_is_not_opened(
    ledger: Path, db_url: str, damage: Callable[[Path], object]
) -> None:
    damage(ledger)
    with pytest.raises(DatabaseCorrupt, match="restore a backup"):
        CreditWallet.open(db_url)


@pytest.mark.parametrize("length", [1, 64, None], ids=["a-byte", "some-bytes", "whole-page"])
@pytest.mark.parametrize(
    ("table", "hidden"),
    [
        ("am_credit_wallet", ("balance", "history", "charge", "verify")),
        ("am_credit_transaction_log", ("history", "charge", "verify")),
        ("am_credit_idempotency", ("charge",)),
    ],
)
def test_a_damaged_page_is_reported_and_never_served(
    ledger: Path, db_url: str, table: str, hidden: tuple[str, ...], length: int | None
) -> None:
    position, page_size = page_of(ledger, table)
    overwrite(ledger, position, b"\xff" * (length or page_size))
    asked: dict[str, Callable[[CreditWallet], object]] = {
        "balance": lambda wallets: wallets.balance(1),
        "history": lambda wallets: wallets.history(1),
        "charge": lambda wallets: wallets.charge(1, 1, idempotency_key="new"),
        "verify": lambda wallets: wallets.verify(),
    }
    for name in hidden:  # or it is refused already when the ledger is opened, which reads the newest wallets
        with pytest.raises(DatabaseCorrupt, match="restore a backup"), CreditWallet.open(db_url) as wallets:
            asked[name](wallets)


def token_hash_of(path: Path, wallet_id: int) -> bytes:
    with closing(apsw.Connection(str(path))) as connection:
        text = connection.execute("SELECT owner_token_hash FROM am_credit_wallet WHERE wallet_id = ?", (wallet_id,)).get
        return str(text).encode()


def change_balance(path: Path) -> None:
    before = token_hash_of(path, 1) + (49_361).to_bytes(3, "big")
    replace(path, before, before[:-1] + b"\xff")


def change_amount(path: Path) -> None:
    replace(path, (-4_660).to_bytes(2, "big", signed=True) + b"charge", b"\xff\x00charge")


def lose_half_a_page_of_entries(path: Path) -> None:
    """Let a leaf of the ledger's tree count half the entries that it has."""
    position = path.read_bytes().rindex(b"tea for two")  # earlier ones are leftovers
    page = position - position % page_of(path, "am_credit_transaction_log")[1]
    cells = int.from_bytes(path.read_bytes()[page + 3 : page + 5], "big")
    overwrite(path, page + 3, (cells // 2).to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("damage", "reported"),
    [
        pytest.param(change_balance, {"conservation", "chain_end", "lots"}, id="balance"),
        pytest.param(change_amount, {"conservation", "chain", "cycle_spend", "seals"}, id="amount"),
        pytest.param(lambda path: replace(path, b"tea for two", b"tea for ten"), {"seals"}, id="note"),
        pytest.param(
            lose_half_a_page_of_entries, {"conservation", "chain", "cycle_spend", "lot_flow", "seals"}, id="entries"
        ),
    ],
)
def test_bytes_changed_behind_the_databases_back_are_found(
    ledger: Path, db_url: str, damage: Callable[[Path], None], reported: set[str]
) -> None:
    damage(ledger)
    with CreditWallet.open(db_url) as wallets:
        violations = wallets.verify()
    assert reported <= {violation.check for violation in violations}
    assert {violation.wallet_id for violation in violations} <= {1, None}
