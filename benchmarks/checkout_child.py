"""What ``checkouts.py`` starts for each checkout and case: it charges when it is told to, and says how long that took.

It imports the ``credit_wallet`` of the checkout that is its first argument, whichever version that is, and uses only
what older versions have as well. Each line on standard input names a case; the answer is one line of JSON. Its ledgers
are in the folder that is its second argument.

``charge`` sends lists of charges, ``limit`` writes the rows of as many with bare SQLite (``credit_wallet.cli.limit``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count, islice
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

HERE = Path(__file__).resolve().parents[1]
MAX_BATCH = 8_192
HTTP_CHARGES = 2_000
ITEM = "search"
PRICES = f'[[price]]\nitem = "{ITEM}"\nunit_price_yen = "3.30"\n'

Charges = Iterator[Any]


def use(checkout: Path, folder: Path) -> None:
    """Import that checkout's package from now on, with its migrations, which an installation finds elsewhere."""
    sys.path.insert(0, str(checkout / "src"))
    beside = folder / "beside"
    beside.mkdir()
    (beside / "migrations").symlink_to(checkout / "scripts" / "migrations")
    import credit_wallet

    credit_wallet.__path__.append(str(beside))


class Ledger:
    """A ledger of its own for a kind of charge on a number of wallets, in lists of ``batch``."""

    def __init__(self, path: Path, kind: str, wallets: int, batch: int) -> None:
        from credit_wallet import CreditWallet

        self._path, self._batch = path, batch
        self._charges = charges_of(kind, path, wallets)
        self._wallets = CreditWallet.open(f"sqlite:///{path}", max_batch=MAX_BATCH)
        if kind == "item":
            self._wallets.prices.apply(PRICES)
        self._before, self._made = self._sizes(), self._entries()

    def charge(self, lists: int) -> dict[str, float]:
        """Send so many lists of charges; their making is not measured."""
        made = [list(islice(self._charges, self._batch)) for _ in range(lists)]
        started, started_cpu = perf_counter(), process_time()
        outcomes = [self._wallets.charge_many(each) for each in made]
        seconds, cpu_seconds = perf_counter() - started, process_time() - started_cpu
        assert not any(isinstance(outcome, Exception) for each in outcomes for outcome in each)
        return {"charges": lists * self._batch, "seconds": seconds, "cpu_seconds": cpu_seconds}

    def bytes_an_entry(self) -> dict[str, float]:
        """By how much the file and the table of entries have grown for each charge."""
        charges = self._entries() - self._made
        grown = {name: size - self._before.get(name, 0) for name, size in self._sizes().items()}
        return {"file": sum(grown.values()) / charges, "log": grown["am_credit_transaction_log"] / charges}

    def _entries(self) -> int:
        return int(self._rows("SELECT count(*) FROM am_credit_transaction_log")[0][0])

    def _sizes(self) -> dict[str, int]:
        """Bytes of each table and index."""
        return {str(name): int(size) for name, size in self._rows("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")}

    def _rows(self, statement: str) -> list[Any]:
        import apsw

        with closing(apsw.Connection(str(self._path))) as connection:
            return connection.execute(statement).fetchall()


class Bare:
    """The limit of such a ledger."""

    def __init__(self, path: Path, kind: str, wallets: int, batch: int) -> None:
        from credit_wallet.cli.limit import Limit

        self._charges, self._batch = charges_of(kind, path, wallets), batch
        self._limit = Limit(path, max_batch=MAX_BATCH)

    def write(self, lists: int) -> dict[str, float]:
        """Write the rows of so many lists; recording them is not measured."""
        return self._limit.write(self._charges, self._batch, lists)._asdict()


def charges_of(kind: str, path: Path, wallets: int) -> Charges:
    """Make the wallets of a ledger; charges of a kind without end.

    ``whole``, ``fraction`` and ``item`` go round the wallets. ``plain`` and ``equipped`` draw them at random, as
    ``credit-wallet bench`` does.
    """
    from credit_wallet.cli.workloads import PRICE_YEN, create_wallets, drawn
    from credit_wallet.idempotency_keys import new_idempotency_key

    if kind == "equipped":
        equipped = of_this_checkout("equipped")
        return iter(equipped.equipped_charges(equipped.create_equipped(path, wallets)))
    ids = create_wallets(path, wallets)
    if kind == "plain":
        return ((wallet_id, PRICE_YEN, new_idempotency_key()) for wallet_id in drawn(ids))
    return _in_turn(kind, ids)


def of_this_checkout(name: str) -> Any:
    """A module of the command line as this checkout has it, so that both sides of a comparison charge the same."""
    spec = spec_from_file_location(name, HERE / "src" / "credit_wallet" / "cli" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _in_turn(kind: str, ids: Sequence[int]) -> Charges:
    price: Any = "3.30" if kind == "fraction" else 3
    for number in count():
        wallet_id, key = ids[number % len(ids)], f"0199f3a2-7c1e-7000-8000-{number:012x}"
        if kind == "item":
            yield _of_item(wallet_id, key)
        else:
            yield wallet_id, price, key


def _of_item(wallet_id: int, key: str) -> Any:
    from credit_wallet.domain.commands import Charge
    from credit_wallet.domain.usage import QUANTITY_UNIT, Usage

    return Charge(wallet_id, key, 0, usage=Usage(ITEM, QUANTITY_UNIT))


def http_charges() -> dict[str, float]:
    """What the service does of a charge beside the ledger and the socket: its body, its call, its reply and headers."""
    one = _http_charge()
    started, started_cpu = perf_counter(), thread_time()
    for _ in range(HTTP_CHARGES):
        try:
            one().send(None)
        except StopIteration:
            continue
        raise AssertionError("the stand-in for a ledger answers at once")
    return {
        "charges": HTTP_CHARGES,
        "seconds": perf_counter() - started,
        "cpu_seconds": thread_time() - started_cpu,
    }


def _http_charge() -> Callable[[], Coroutine[Any, Any, bytes]]:
    from msgspec import json as wire

    from credit_wallet.domain.outcomes import Charged

    try:
        from credit_wallet.domain.views import Access
    except ModuleNotFoundError:  # a release that kept it beside the outcomes
        from credit_wallet.domain.outcomes import Access  # type: ignore[attr-defined,no-redef]
    from credit_wallet.http.decoding import decode_body
    from credit_wallet.http.fast import CALLS
    from credit_wallet.wire.auth import Caller
    from credit_wallet.wire.headers import outcome_headers

    unit = 1_000_000 if "amount_micros" in Charged.__struct_fields__ else 1
    outcome = Charged(1, 3 * unit, 9_997 * unit, 2)

    class StandIn:
        async def acharge(self, *_: Any, **__: Any) -> Charged:
            return outcome

    sent: Any = "0199f3a2-7c1e-7000-8000-3b1d5f8e2a10"
    try:
        from credit_wallet.http.movements import Sent
    except ImportError:  # a release in which a call was given the idempotency key alone
        pass
    else:
        sent = Sent(sent)
    caller, call, wallets = Caller(Access(1, 7)), CALLS["/credit/charge"], StandIn()
    body = b'{"amount_yen":3,"note":"GET /search"}'

    async def one() -> bytes:
        decoded = decode_body(call.decoder, body)
        answered = await call.carry_out(wallets, caller, decoded, sent)
        done, reply = call.replied(answered) if hasattr(call, "replied") else answered  # as in releases before
        outcome_headers(done)
        return wire.encode(reply)

    return one


def main() -> None:
    checkout, folder, lists = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    use(checkout, folder)
    ledger: Ledger | None = None
    bare: Bare | None = None
    for line in sys.stdin:
        what, case = line.split()
        kind, *sizes = case.split(":")
        wallets, batch = map(int, sizes)
        if what == "http":
            answer = http_charges()
        elif what == "limit":
            bare = bare or Bare(folder / "limit.db", kind, wallets, batch)
            answer = bare.write(lists)
        else:
            ledger = ledger or Ledger(folder / "ledger.db", kind, wallets, batch)
            answer = ledger.charge(lists) if what == "charge" else ledger.bytes_an_entry()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
