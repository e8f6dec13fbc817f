"""Where credit that expires can be seen: open lots with their days left, the next to expire, what expired lately."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql
from served import Served
from service import Api, new_app
from shell import Shell

from credit_wallet import CreditWallet, InvalidRequest, WalletNotFound
from credit_wallet.client import AsyncWalletClient, WalletClient
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.views import ExpiredLotView, LotView, next_expiring
from credit_wallet.errors import DatabaseCorrupt
from credit_wallet.ledger.lots import MAX_EXPIRED
from credit_wallet.mcp.prompts import budget
from credit_wallet.mcp.replies import WalletStatus
from credit_wallet.wire.presenters import wallet_shown

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)


def in_days(days: float) -> str:
    return format_instant(NOW + timedelta(days=days))


def give(wallets: CreditWallet, wallet_id: int, amount: str, days: float | None, *, promo: bool = True) -> int:
    end = None if days is None else in_days(days)
    key = f"topup {amount} {days}"
    return wallets.topup(wallet_id, amount, idempotency_key=key, promo=promo, expires_at=end).txn_id


# Days left


@pytest.mark.parametrize(
    ("days", "left"), [(20, 20), (19.99, 19), (1, 1), (0.99, 0), (0.01, 0), (365.5, 365), (None, None)]
)
@on_every_database
def test_a_lot_says_how_many_whole_days_are_left(wallets: CreditWallet, days: float | None, left: int | None) -> None:
    wallet_id = wallets.create().wallet_id
    give(wallets, wallet_id, "3.3", days)
    [lot] = wallets.lots.list(wallet_id)
    assert (lot.days_left, str(lot.remaining)) == (left, "3.3")


def lot(lot_id: int, expires_at: str | None) -> LotView:
    return LotView(lot_id, "promo", 1_000_000, expires_at)


@pytest.mark.parametrize(
    ("lots", "soonest"),
    [
        ([], None),
        ([lot(1, None)], None),
        ([lot(1, in_days(3)), lot(2, None)], 1),
        ([lot(1, in_days(3)), lot(2, in_days(2))], 2),
        ([lot(2, in_days(3)), lot(1, in_days(3))], 2),
    ],
)
def test_the_next_to_expire_is_found_in_any_order(lots: list[LotView], soonest: int | None) -> None:
    found = next_expiring(lots)
    assert (found and found.lot_id) == soonest


# What expired lately


@on_every_database
@pytest.mark.partitions
def test_what_expired_lately_is_listed_with_what_was_left_then(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    first, second = give(wallets, wallet_id, "10.25", 1), give(wallets, wallet_id, "20", 2)
    give(wallets, wallet_id, "5", 3)  # nothing will be left of it
    paid = give(wallets, wallet_id, "7", 40, promo=False)
    wallets.charge(wallet_id, "0.75", idempotency_key="first")
    assert wallets.lots.expired(wallet_id) == []
    clock.advance(days=2.5)
    wallets.charge(wallet_id, "5", idempotency_key="third")
    clock.advance(days=1)
    assert wallets.lots.expired(wallet_id) == [
        ExpiredLotView(second, "promo", 20_000_000, in_days(2)),
        ExpiredLotView(first, "promo", 9_500_000, in_days(1)),
    ]
    assert [each.lot_id for each in wallets.lots.expired(wallet_id, days=2)] == [second]
    clock.advance(days=28)
    assert [each.lot_id for each in wallets.lots.expired(wallet_id)] == [second]
    assert [each.lot_id for each in wallets.lots.list(wallet_id)] == [paid]


@on_every_database
def test_events_of_an_earlier_release_are_read_in_whole_yen(wallets: CreditWallet, clock: Clock, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    lot_id = give(wallets, wallet_id, "10", 1)
    clock.advance(days=1)
    assert wallets.lots.list(wallet_id) == []
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_outbox SET payload = '{\"expired_yen\": 10}' WHERE kind = 'credit.expired'")
    assert wallets.lots.expired(wallet_id) == [ExpiredLotView(lot_id, "promo", 10_000_000, in_days(1))]


@on_every_database
def test_lots_of_other_wallets_are_not_shown(wallets: CreditWallet, clock: Clock) -> None:
    mine, other = wallets.create().wallet_id, wallets.create().wallet_id
    give(wallets, other, "10", 1)
    clock.advance(days=1)
    assert wallets.lots.expired(mine) == []
    assert len(wallets.lots.expired(other)) == 1


def test_many_lots_that_expired_at_once_are_listed_up_to_a_limit(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    for number in range(MAX_EXPIRED + 5):
        give(wallets, wallet_id, "1", 1 + number / 1_000)
    clock.advance(days=2)
    assert len(wallets.lots.expired(wallet_id)) == MAX_EXPIRED


@pytest.mark.parametrize("days", [0, 31, -1, 1.5, True, "7"])
def test_days_that_cannot_be_are_refused(wallets: CreditWallet, days: Any) -> None:
    wallet_id = wallets.create().wallet_id
    with pytest.raises(InvalidRequest) as refused:
        wallets.lots.expired(wallet_id, days)
    assert refused.value.details["field"] == "days"


def test_a_wallet_that_is_not_there_has_none(wallets: CreditWallet) -> None:
    with pytest.raises(WalletNotFound):
        wallets.lots.expired(404)


@pytest.mark.parametrize("lots", ["nonsense", '[[1,"promo",10,"someday"]]'])
def test_lots_that_are_damaged_are_said_to_be(wallets: CreditWallet, db_url: str, lots: str) -> None:
    wallet_id = wallets.create().wallet_id
    give(wallets, wallet_id, "10", 1)
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_wallet SET open_lots = ?, next_due_at = NULL WHERE wallet_id = ?", lots, wallet_id)
    with pytest.raises(DatabaseCorrupt, match=f"the lots of wallet {wallet_id} are damaged"):
        wallets.lots.list(wallet_id)


# At every door


EXPIRED = {"kind": "promo", "expired_yen": 9, "expired": "9.5", "expires_at": in_days(1)}
NEXT = {"kind": "promo", "remaining_yen": 20, "remaining": "20.5", "expires_at": in_days(20), "days_left": 18}


def some_expired(wallets: CreditWallet, clock: Clock) -> tuple[str, str]:
    """A wallet with an expired lot, one that expires and one that does not; the tokens of its owner and an agent."""
    owner = wallets.create()
    agent = wallets.keys.create(owner.wallet_id)
    give(wallets, owner.wallet_id, "9.5", 1)
    give(wallets, owner.wallet_id, "20.5", 20)
    give(wallets, owner.wallet_id, "100", None, promo=False)
    clock.advance(days=2)
    return owner.owner_token, agent.token


def test_http_shows_both_to_owners_and_agents(wallets: CreditWallet, clock: Clock) -> None:
    tokens = some_expired(wallets, clock)
    with Api(new_app(wallets)) as api:
        for token in tokens:
            [expired] = api.get("/credit/lots/expired", token).json()
            assert expired == {"lot_id": 1, **EXPIRED}
            assert api.get("/credit/lots/expired", token, days=1).json() == []
            shown = api.get("/credit/wallet", token).json()
            assert shown["next_expiring"] == shown["lots"][0] == {"lot_id": 2, **NEXT}
        assert api.get("/credit/lots/expired", tokens[0], days=31).status_code == 422
        assert api.get("/credit/lots/expired", "cw_live_nobody").status_code == 401


def test_a_wallet_whose_credit_does_not_expire_says_so(wallets: CreditWallet) -> None:
    owner = wallets.create()
    give(wallets, owner.wallet_id, "100", None, promo=False)
    with Api(new_app(wallets)) as api:
        assert api.get("/credit/wallet", owner.owner_token).json()["next_expiring"] is None


def test_the_clients_list_both(wallets: CreditWallet, clock: Clock) -> None:
    token, _ = some_expired(wallets, clock)

    async def ask(url: str) -> tuple[list[ExpiredLotView], list[LotView], LotView | None]:
        async with AsyncWalletClient(url, token) as client:
            return await client.expired_lots(days=5), await client.lots(), (await client.wallet()).next_expiring

    with Served(new_app(wallets)) as served:
        with WalletClient(served.url, token) as client:
            blocking = client.expired_lots(days=5), client.lots(), client.wallet().next_expiring
        assert asyncio.run(ask(served.url)) == blocking
    [expired], lots, soonest = blocking
    assert (str(expired.expired), expired.expires_at) == ("9.5", in_days(1))
    assert soonest == lots[0]
    assert [each.days_left for each in lots] == [18, None]


def test_a_model_sees_which_credit_expires_next(wallets: CreditWallet, clock: Clock) -> None:
    token, _ = some_expired(wallets, clock)
    access = wallets.tokens.authenticate(token)
    status = WalletStatus.of(wallet_shown(wallets, access, ""))
    assert status.next_expiring == status.lots[0]
    assert status.next_expiring is not None
    assert status.next_expiring.days_left == 18
    assert f"- ¥20.5 of the balance expires at {in_days(20)} unless it is spent first" in budget(status)


def test_the_command_line_shows_both(shell: Shell, wallets: CreditWallet, clock: Clock) -> None:
    some_expired(wallets, clock)
    assert shell.json("lots", 1) == {
        "lots": [
            {"lot_id": 2, **NEXT},
            {
                "lot_id": 3,
                "kind": "paid",
                "remaining_yen": 100,
                "remaining": "100",
                "expires_at": None,
                "days_left": None,
            },
        ],
        "expired": [{"lot_id": 1, **EXPIRED}],
    }
    lines = [line.split() for line in shell("lots", 1).splitlines()]
    assert ["2", "promo", "¥20.5", in_days(20), "18"] in lines
    assert ["3", "paid", "¥100", "–", "–"] in lines
    assert ["expired", "within", "the", "last", "30", "days:"] in lines
    assert lines[-1] == ["1", "promo", "¥9.5", in_days(1)]
    assert f"¥20.5 promo until {in_days(20)}, 18 days left" in shell.fields("wallet", "show", 1)["lots"]
    assert shell.refused("lots", 404)[0] == "wallet_not_found"


def test_the_command_line_shows_a_wallet_without_credit(shell: Shell, wallets: CreditWallet) -> None:
    assert shell("lots", wallets.create().wallet_id) == "none\n"
