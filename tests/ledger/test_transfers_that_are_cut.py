"""Random transfers between wallets, cut at every step on one of two nodes, beside a naive model.

Whatever is cut, retried, expired, held, spent, clawed back and filled up in between: nothing of a transfer is lost or
comes twice, every request ends as one thing, and the ledger verifies at any time.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_both_databases
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from moved import Cut, cut_after
from width import examples

from credit_wallet import CreditWallet, WalletError
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MAX_BALANCE_MICROS, MICROS
from credit_wallet.domain.transfers import Transferred
from credit_wallet.errors import TransferReturned
from credit_wallet.rules import credit, transfers

pytestmark = [pytest.mark.slow, on_both_databases]

WALLETS = 3
START = datetime(2026, 1, 30, 23, 0, tzinfo=UTC)
MAX_MICROS = 800 * MICROS
"""What a wallet of these tests can have, so that some are full."""

numbers = st.integers(0, WALLETS - 1)
micros = st.one_of(st.integers(1, 300), st.sampled_from([50, 200, 700])).map(lambda yen: yen * MICROS)
exact = st.one_of(micros, st.integers(1, 400 * MICROS))
steps = st.sampled_from([None, None, "TransferOut", "TransferIn", "EndTransfer"])


class TransferMachine(RuleBasedStateMachine):
    """Two nodes, and what was asked of them."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases
        self.open_things = ExitStack()

    @initialize()
    def open(self) -> None:
        self.clock = Clock(START)
        url = self.open_things.enter_context(self.databases.ledger())
        self.nodes = [self.open_things.enter_context(CreditWallet.open(url, clock=self.clock)) for _ in range(2)]
        self.patch = self.open_things.enter_context(pytest.MonkeyPatch.context())
        for module in (credit, transfers):
            self.patch.setattr(module, "MAX_BALANCE_MICROS", MAX_MICROS)
        self.ids = [self.nodes[0].create().wallet_id for _ in range(WALLETS)]
        self.sent = 0
        self.asked: list[tuple[int, int, int, str]] = []
        self.answers: dict[str, Any] = {}
        self.put_in_micros = self.taken_out_micros = 0
        for number in range(WALLETS):
            self.credit(number, 500 * MICROS, False, None, 0)

    def teardown(self) -> None:
        with self.open_things:
            if hasattr(self, "nodes"):
                self.clock.advance(seconds=20)
                for wallet_id in self.ids:  # room for what must return
                    self.nodes[0].unfreeze(wallet_id)
                self.patch.setattr(credit, "MAX_BALANCE_MICROS", MAX_BALANCE_MICROS)
                self.patch.setattr(transfers, "MAX_BALANCE_MICROS", MAX_BALANCE_MICROS)
                self.nodes[1].maintenance.finish_transfers()
                assert self.on_their_way() == 0
                assert {each.status for each in self.transfers()} <= {"done", "returned"}
                for request in range(len(self.asked)):
                    self.retry(request, 0)
                self.nothing_is_lost()
                assert self.nodes[0].verify() == []

    @rule(number=numbers, micros=exact, promo=st.booleans(), days=st.sampled_from([None, 1, 9]), node=st.integers(0, 1))
    def credit(self, number: int, micros: int, promo: bool, days: int | None, node: int) -> None:
        self.sent += 1
        ends = None if days is None else format_instant(self.clock() + timedelta(days=days))
        amount = f"{micros / MICROS:.6f}"
        try:
            self.nodes[node].topup(
                self.ids[number], amount, idempotency_key=f"credit {self.sent}", promo=promo, expires_at=ends
            )
        except WalletError as error:
            assert error.code == "invalid_amount"
        else:
            self.put_in_micros += micros

    @rule(number=numbers, micros=micros, node=st.integers(0, 1), holds=st.booleans())
    def spend(self, number: int, micros: int, node: int, holds: bool) -> None:
        self.sent += 1
        wallets, key = self.nodes[node], f"spends {self.sent}"
        try:
            if holds:
                wallets.hold(self.ids[number], micros // MICROS, idempotency_key=key, ttl_seconds=600)
            else:
                wallets.charge(self.ids[number], micros // MICROS, idempotency_key=key)
        except WalletError as error:
            assert error.code in ("insufficient_funds", "wallet_disabled")

    @rule(number=numbers, share=st.integers(1, 100), node=st.integers(0, 1))
    def claw_back(self, number: int, share: int, node: int) -> None:
        """Some of the wallet's first credit, which may have moved on."""
        self.sent += 1
        first = self.nodes[node].history(self.ids[number], limit=1_000)[-1].txn_id
        try:
            self.nodes[node].reverse(first, share, idempotency_key=f"clawed back {self.sent}")
        except WalletError as error:
            assert error.code == "refund_exceeds_charge"

    @rule(number=numbers, enabled=st.booleans())
    def freeze(self, number: int, enabled: bool) -> None:
        (self.nodes[0].unfreeze if enabled else self.nodes[0].freeze)(self.ids[number])

    @rule(
        number=numbers,
        to=st.integers(1, WALLETS - 1),
        micros=exact,
        node=st.integers(0, 1),
        cut=steps,
        again=st.booleans(),
    )
    def move(self, number: int, to: int, micros: int, node: int, cut: str | None, again: bool) -> None:
        self.sent += 1
        key = f"move {self.sent}"
        self.asked.append((number, (number + to) % WALLETS, micros, key))
        self._send(len(self.asked) - 1, node, cut)
        if again:
            self._send(len(self.asked) - 1, 1 - node, None)

    @rule(request=st.integers(0, 10**6), node=st.integers(0, 1))
    def retry(self, request: int, node: int) -> None:
        if self.asked:
            self._send(request % len(self.asked), node, None)

    def _send(self, request: int, node: int, cut: str | None) -> None:
        number, to, micros, key = self.asked[request]
        answer: object
        with pytest.MonkeyPatch.context() as patch:
            if cut is not None:
                cut_after(patch, cut)
            try:
                answer = self.nodes[node].transfers.create(
                    self.ids[number], self.ids[to], f"{micros / MICROS:.6f}", idempotency_key=key
                )
            except Cut:
                return
            except TransferReturned as returned:
                answer = ("returned", returned.details["transfer_id"])
            except WalletError as error:
                assert error.code in ("insufficient_funds", "wallet_disabled", "invalid_amount")
                assert key not in self.answers, f"{key} was answered before: {error}"
                return
        if isinstance(answer, Transferred):
            answer = (answer.transfer_id, answer.amount_micros, answer.balance_micros, answer.to_balance_micros)
        assert self.answers.setdefault(key, answer) == answer

    @rule(hours=st.sampled_from([0.001, 0.2, 5, 30, 24 * 8]), back=st.sampled_from([False, False, False, True]))
    def wait(self, hours: float, back: bool) -> None:
        self.clock.advance(hours=-min(hours, 5) if back else hours)

    @rule(node=st.integers(0, 1))
    def finish(self, node: int) -> None:
        self.nodes[node].maintenance.finish_transfers()

    @rule(node=st.integers(0, 1), request=st.integers(0, 10**6))
    def forget(self, node: int, request: int) -> None:
        """Every idempotency key, long after; then somebody comes back to a request."""
        self.clock.advance(days=9)
        self.nodes[node].maintenance.prune_idempotency_keys()
        self.nodes[node].maintenance.expire_due()
        self.retry(request, node)

    def transfers(self) -> list[Any]:
        return [
            each
            for wallet_id in self.ids
            for each in self.nodes[0].transfers.list(wallet_id, limit=1_000)
            if each.direction == "out"
        ]

    def on_their_way(self) -> int:
        """Micros that have left one wallet, and neither come in nor returned."""
        return sum(
            out.amount_micros
            for out in self.transfers()
            if out.status == "out"
            and out.transfer_id
            not in {each.transfer_id for each in self.nodes[0].transfers.list(out.other_wallet_id, limit=1_000)}
        )

    @invariant()
    def nothing_is_lost(self) -> None:
        """What came in from outside is there, on its way, or went out as something else than a transfer."""
        if not hasattr(self, "ids"):
            return
        entries = [entry for wallet_id in self.ids for entry in self.nodes[0].history(wallet_id, limit=1_000)]
        of_transfers = [each for each in entries if (each.cause or "").startswith("transfer_")]
        assert sum(each.amount_micros for each in of_transfers) == -self.on_their_way()
        granted = sum(each.amount_micros for each in entries if each.cause == "grant")
        assert granted == self.put_in_micros
        lots = [lot for wallet_id in self.ids for lot in self.nodes[0].lots.list(wallet_id)]
        assert all(lot.remaining_micros > 0 for lot in lots)

    @rule()
    def verify(self) -> None:
        assert self.nodes[0].verify() == []


def test_whatever_is_cut_transfers_move_once(databases: Databases) -> None:
    length = examples(12, "TRANSFER_EXAMPLES")
    run_state_machine_as_test(
        partial(TransferMachine, databases),  # type: ignore[arg-type]  # "a class or a function", it says
        settings=settings(
            max_examples=length,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
