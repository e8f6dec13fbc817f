"""Leaving a purchase: what was neither served nor delivered is undone, once, however its block is left.

The adversary cancels the request between the charge and the block, has undoing itself fail, and leaves the block twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from clock import Clock
from gated import answer
from http_answers import CREDIT_YEN, funded

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.gate import payers
from credit_wallet.gate.billing import Billing
from credit_wallet.gate.credentials import Credentials
from credit_wallet.gate.payers import payers_of
from credit_wallet.gate.prices import Price
from credit_wallet.gate.purchases import LEASE_SECONDS, Purchase
from credit_wallet.ledger.maintenance import ABANDONED_AFTER
from credit_wallet.middleware import CreditGate, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

CHARGED, HELD = Price(30), Price(30, 600)
EMBEDDED_PAYER = "credit_wallet.gate.payers._EmbeddedPayer"

Act = Callable[[Purchase], Awaitable[None]]


class Broken(Exception):
    """What happens in a block, or to whoever leaves it."""


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


async def bought(wallets: CreditWallet, wallet: CreatedWallet, billing: Billing, price: Price) -> Purchase:
    payer = await payers_of(wallets).payer_of(Credentials(f"Bearer {wallet.owner_token}", None))
    return await billing.buy(payer, price, "GET /", None)


def spent_yen(wallets: CreditWallet, wallet: CreatedWallet) -> int:
    """What the wallet has paid, once nothing is set aside any more."""
    view = wallets.show(wallet.wallet_id)
    assert view.held_yen == 0
    assert wallets.verify() == []
    return CREDIT_YEN - view.balance_yen


# What is done in the block


async def nothing(purchase: Purchase) -> None:
    """The block ends without a word."""


async def fails(purchase: Purchase) -> None:  # noqa: ARG001
    raise Broken


async def begins(purchase: Purchase) -> None:
    purchase.begin()


async def serves(purchase: Purchase) -> None:
    purchase.serve()


async def serves_and_fails(purchase: Purchase) -> None:
    purchase.serve()
    raise Broken


async def delivers(purchase: Purchase) -> None:
    purchase.serve()
    await purchase.deliver()


async def delivers_and_fails(purchase: Purchase) -> None:
    await delivers(purchase)
    raise Broken


async def undoes(purchase: Purchase) -> None:
    await purchase.undo("answered 503")


async def undoes_and_delivers(purchase: Purchase) -> None:
    await undoes(purchase)
    await delivers(purchase)


@pytest.mark.parametrize("price", [CHARGED, HELD], ids=["charged", "held"])
@pytest.mark.parametrize(
    ("act", "paid"),
    [
        (nothing, False),
        (fails, False),
        (begins, False),
        (serves, True),
        (serves_and_fails, True),
        (delivers, True),
        (delivers_and_fails, True),
        (undoes, False),
        (undoes_and_delivers, False),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_what_was_neither_served_nor_delivered_is_undone(
    wallets: CreditWallet, wallet: CreatedWallet, price: Price, act: Act, paid: bool, times: int
) -> None:
    async def use() -> None:
        billing = Billing(free_retries=0)
        purchase = await bought(wallets, wallet, billing, price)
        try:
            async with purchase:
                await act(purchase)
        except Broken:
            pass
        for _ in range(times - 1):
            await purchase.__aexit__(None, None, None)
        assert await billing.compensations.drain(10) == 0

    asyncio.run(use())
    assert spent_yen(wallets, wallet) == (30 if paid else 0)


def test_leaving_twice_at_the_same_time_gives_back_once(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use() -> None:
        purchase = await bought(wallets, wallet, Billing(free_retries=0), CHARGED)
        await asyncio.gather(*(purchase.__aexit__(None, None, None) for _ in range(3)))

    asyncio.run(use())
    entries = [entry.txn_type for entry in wallets.history(wallet.wallet_id)]
    assert entries == ["refund", "charge", "topup"]


def test_a_purchase_says_why_it_is_undone(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def use() -> None:
        for reason in (None, "the tool failed"):
            async with await bought(wallets, wallet, Billing(free_retries=0), CHARGED) as purchase:
                purchase.undo_reason = reason or purchase.undo_reason

    asyncio.run(use())
    notes = [entry.note for entry in wallets.history(wallet.wallet_id) if entry.txn_type == "refund"]
    assert notes == ["the tool failed", "the answer was not complete"]


# Cancelled between the charge and the block


def cancelled_with(monkeypatch: pytest.MonkeyPatch, method: str, *, within: bool) -> None:
    """Cancel the task that calls ``method`` of a payer once the ledger has done it, ``within`` the call or after it."""
    original = getattr(payers._EmbeddedPayer, method)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        outcome = await original(*args, **kwargs)
        task = asyncio.current_task()
        assert task is not None
        if not task.get_name().startswith("undoing"):
            task.set_name("undoing")
            task.cancel()
        if within:
            await asyncio.sleep(0)
        return outcome

    monkeypatch.setattr(f"{EMBEDDED_PAYER}.{method}", wrapped)


async def free_until_priced(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await priced(yen=30)()
    await asyncio.sleep(0)
    await answer(send)


async def paid_at_the_gate(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await asyncio.sleep(0)
    await answer(send)


async def asked(gate: CreditGate, wallet: CreatedWallet) -> list[Any]:
    """What a caller gets that stays."""
    got: list[Any] = []
    unread = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return unread.pop() if unread else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        got.append(message)

    headers = [(b"authorization", f"Bearer {wallet.owner_token}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    await gate(scope, receive, send)
    return got


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize(
    ("application", "options"),
    [
        (paid_at_the_gate, {"price_yen": 30}),
        (paid_at_the_gate, {"hold": 30}),
        (free_until_priced, {}),
    ],
    ids=["charged", "held", "priced"],
)
def test_a_request_that_is_cancelled_between_charge_and_block_is_given_back(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    monkeypatch: pytest.MonkeyPatch,
    application: Any,
    options: dict[str, Any],
    within: bool,
) -> None:
    cancelled_with(monkeypatch, "buy", within=within)
    gate = CreditGate(application, wallets, **options)

    async def use() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(asked(gate, wallet))
        monkeypatch.undo()
        assert await gate._billing.compensations.drain(10) == 0
        assert not gate._billing._renewals._alive

    asyncio.run(use())
    assert spent_yen(wallets, wallet) == 0


@pytest.mark.parametrize("price", [CHARGED, HELD], ids=["charged", "held"])
@pytest.mark.parametrize("within", [True, False])
def test_leaving_that_is_cancelled_still_gives_back_once(
    wallets: CreditWallet, wallet: CreatedWallet, monkeypatch: pytest.MonkeyPatch, price: Price, within: bool
) -> None:
    cancelled_with(monkeypatch, "undo", within=within)

    async def use() -> None:
        billing = Billing(free_retries=0)

        async def leave() -> None:
            async with await bought(wallets, wallet, billing, price):
                pass
            await asyncio.sleep(0)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(leave())
        assert await billing.compensations.drain(10) == 0

    asyncio.run(use())
    assert spent_yen(wallets, wallet) == 0
    assert [entry.txn_type for entry in wallets.history(wallet.wallet_id)].count("refund") <= 1


# Undoing that fails


@pytest.mark.parametrize("price", [CHARGED, HELD], ids=["charged", "held"])
def test_what_could_not_be_undone_is_given_back_when_its_lease_is_over(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch, price: Price
) -> None:
    """A defect in undoing ends the renewals as well, so nothing keeps the purchase alive."""

    async def defect(*_: object) -> None:
        raise LookupError("a defect")

    async def use() -> None:
        billing = Billing(free_retries=0)
        monkeypatch.setattr(f"{EMBEDDED_PAYER}.undo", defect)
        with pytest.raises(LookupError, match="a defect") as raised:
            async with await bought(wallets, wallet, billing, price):
                raise Broken
        assert isinstance(raised.value.__context__, Broken)
        assert not billing._renewals._alive

    asyncio.run(use())
    clock.advance(seconds=LEASE_SECONDS + ABANDONED_AFTER.seconds + 600)
    wallets.maintenance.undo_abandoned()
    wallets.maintenance.expire_due()
    assert spent_yen(wallets, wallet) == 0


@pytest.mark.parametrize("price", [CHARGED, HELD], ids=["charged", "held"])
def test_a_delivery_that_fails_is_not_undone(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch, price: Price
) -> None:
    async def defect(*_: object, **__: object) -> None:
        raise LookupError("a defect")

    async def use() -> None:
        billing = Billing(free_retries=0)
        monkeypatch.setattr(f"{EMBEDDED_PAYER}.capture", defect)
        if price.hold_seconds is None:
            async with await bought(wallets, wallet, billing, price) as purchase:
                await delivers(purchase)
        else:
            with pytest.raises(LookupError):
                async with await bought(wallets, wallet, billing, price) as purchase:
                    await delivers(purchase)
        assert not billing._renewals._alive

    asyncio.run(use())
    clock.advance(seconds=LEASE_SECONDS + ABANDONED_AFTER.seconds + 600)
    wallets.maintenance.undo_abandoned()
    wallets.maintenance.expire_due()
    assert spent_yen(wallets, wallet) == 30


def test_a_lost_charge_is_undone_under_the_name_of_its_attempt(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    """Of two attempts with one key, cancelling the one that waits takes nothing from the one that bought."""

    async def use() -> None:
        billing = Billing(free_retries=0)
        payer = await payers_of(wallets).payer_of(Credentials(f"Bearer {wallet.owner_token}", None))
        async with await billing.buy(payer, CHARGED, "GET /", "the-key") as purchase:
            waiting = asyncio.create_task(billing.buy(payer, CHARGED, "GET /", "the-key"))
            await asyncio.sleep(0.05)
            waiting.cancel()
            assert await billing.compensations.drain(10) == 0
            await delivers(purchase)

    asyncio.run(use())
    assert spent_yen(wallets, wallet) == 30
