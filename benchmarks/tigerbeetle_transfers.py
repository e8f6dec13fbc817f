"""Transfers in TigerBeetle through its Python client, which charges are compared with.

The server is the user's; ``benchmarks/README.md`` says how to start one. Each run makes accounts of its own. A transfer
goes from an account that cannot be overdrawn to one of the operators' accounts, as a charge does, and is durable when
the client returns.
"""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from importlib import import_module
from time import perf_counter
from typing import Any, Self

from credit_wallet.cli.workloads import CREDIT_YEN, PRICE_YEN, Round, Workload, drawn

TIGERBEETLE = "TigerBeetle"
LEDGER, CODE = 392, 1
OPERATORS = 100
MAX_EVENTS = 8_000
"""Accounts or transfers of one request."""


def add_tigerbeetle_option(options: ArgumentParser) -> None:
    """The option of benchmarks that compare the wallet with TigerBeetle."""
    options.add_argument("--tigerbeetle", metavar="ADDRESS", help="a TigerBeetle server of cluster 0, such as 3000")


class TigerBeetle:
    """A client of a server, and accounts that have credit."""

    def __init__(self, address: str, accounts: int) -> None:
        """``accounts`` of them can pay. ``address`` is as the client takes it: a port, or host and port."""
        try:
            self._module: Any = import_module("tigerbeetle")
        except ImportError:
            raise SystemExit(
                "--tigerbeetle needs its client, of the server's version: pip install tigerbeetle"
            ) from None
        self._address = address
        self._client = self._module.ClientSync(cluster_id=0, replica_addresses=address)
        overdrawn = self._module.AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
        [bank], self._operators = self._accounts(1), self._accounts(OPERATORS)
        self.accounts = self._accounts(accounts, overdrawn)
        for start in range(0, accounts, MAX_EVENTS):
            paying_in = [self._transfer(bank, each, CREDIT_YEN) for each in self.accounts[start : start + MAX_EVENTS]]
            self._check(self._client.create_transfers(paying_in))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def transfer(self, accounts: Sequence[int], batch: int, lists: int) -> dict[str, float]:
        """Send lists of ``batch`` transfers; their making is not measured."""
        made = self._made(accounts)
        turn = [[next(made) for _ in range(batch)] for _ in range(lists)]
        started = perf_counter()
        results = [self._client.create_transfers(each) for each in turn]
        seconds = perf_counter() - started
        for each in results:
            self._check(each)
        return {"charges": batch * lists, "seconds": seconds}

    def by_tasks(self, callers: int) -> Workload:
        """``callers`` asyncio tasks with one client, each waiting for its transfer before it sends the next."""

        async def call(client: Any, made: Iterator[Any], deadline: float) -> list[float]:
            latencies_ms = []
            while (before := perf_counter()) < deadline:
                self._check(await client.create_transfers([next(made)]))
                latencies_ms.append((perf_counter() - before) * 1_000)
            return latencies_ms

        async def call_all(seconds: float) -> Round:
            made = self._made(self.accounts)
            async with self._module.ClientAsync(cluster_id=0, replica_addresses=self._address) as client:
                started = perf_counter()
                calls = await asyncio.gather(*(call(client, made, started + seconds) for _ in range(callers)))
                elapsed = perf_counter() - started
            latencies_ms = tuple(latency for each in calls for latency in each)
            return Round(len(latencies_ms), elapsed, latencies_ms)

        return lambda seconds: asyncio.run(call_all(seconds))

    def _made(self, accounts: Sequence[int]) -> Iterator[Any]:
        payers, operators = drawn(accounts), drawn(self._operators)
        return (self._transfer(next(payers), next(operators), PRICE_YEN) for _ in iter(int, 1))

    def _transfer(self, debit: int, credit: int, yen: int) -> Any:
        return self._module.Transfer(
            id=self._module.id(),
            debit_account_id=debit,
            credit_account_id=credit,
            amount=yen,
            ledger=LEDGER,
            code=CODE,
        )

    def _accounts(self, count: int, flags: Any = 0) -> list[int]:
        ids = [self._module.id() for _ in range(count)]
        made = [self._module.Account(id=each, ledger=LEDGER, code=CODE, flags=flags) for each in ids]
        for start in range(0, count, MAX_EVENTS):
            self._check(self._client.create_accounts(made[start : start + MAX_EVENTS]))
        return ids

    def _check(self, results: Sequence[Any]) -> None:
        created = self._module.CreateTransferStatus.CREATED
        refused = [result.status for result in results if result.status != created]
        assert not refused, f"TigerBeetle refused {len(refused)} of {len(results)}: {refused[0]!r}"
