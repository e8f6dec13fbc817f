"""What ``whole_yen.py`` starts for each checkout: it charges when it is told to, and says how long that took.

It imports the ``credit_wallet`` of the checkout that is its first argument, whichever version that is, and uses only
what versions before amounts had micros have as well. Each line on standard input names a case; the answer is one line
of JSON. Its ledgers are in the folder that is its second argument.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

BATCH = 1_024
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
    """A ledger of its own for a kind of charge on a number of wallets."""

    def __init__(self, path: Path, wallets: int, kind: str) -> None:
        from credit_wallet import CreditWallet
        from credit_wallet.cli.workloads import create_wallets

        self._path, self._kind = path, kind
        self._ids = create_wallets(path, wallets)
        self._wallets = CreditWallet.open(f"sqlite:///{path}")
        if kind == "item":
            self._wallets.prices.apply(PRICES)
        self._charges = self._endless()
        self._before = self._sizes()

    def charge(self, lists: int) -> dict[str, float]:
        """Send so many lists of ``BATCH`` charges; their making is not measured."""
        made = [list(islice(self._charges, BATCH)) for _ in range(lists)]
        started, started_cpu = perf_counter(), process_time()
        outcomes = [self._wallets.charge_many(each) for each in made]
        seconds, cpu_seconds = perf_counter() - started, process_time() - started_cpu
        assert not any(isinstance(outcome, Exception) for each in outcomes for outcome in each)
        return {"charges": lists * BATCH, "seconds": seconds, "cpu_seconds": cpu_seconds}

    def bytes_an_entry(self) -> dict[str, float]:
        """By how much the file and the table of entries have grown for each charge."""
        charges = self._entries() - len(self._ids)
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

    def _endless(self) -> Charges:
        price: Any = "3.30" if self._kind == "fraction" else 3
        for number in count():
            wallet_id, key = self._ids[number % len(self._ids)], f"0199f3a2-7c1e-7000-8000-{number:012x}"
            if self._kind == "item":
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

    caller, call, wallets = Caller(Access(1, 7)), CALLS["/credit/charge"], StandIn()
    body = b'{"amount_yen":3,"note":"GET /search"}'

    async def one() -> bytes:
        decoded = decode_body(call.decoder, body)
        done, reply = await call.carry_out(wallets, caller, decoded, "0199f3a2-7c1e-7000-8000-3b1d5f8e2a10")
        outcome_headers(done)
        return wire.encode(reply)

    return one


def main() -> None:
    checkout, folder, lists = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    use(checkout, folder)
    ledgers: dict[str, Ledger] = {}
    for line in sys.stdin:
        what, case = line.split()
        if what == "http":
            answer = http_charges()
        else:
            if case not in ledgers:
                kind, wallets = case.split(":")
                ledgers[case] = Ledger(folder / f"{kind}-{wallets}.db", int(wallets), kind)
            answer = ledgers[case].charge(lists) if what == "charge" else ledgers[case].bytes_an_entry()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
