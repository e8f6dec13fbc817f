"""What an agent can bring about again and again for nothing is told in bounds: by the hour, or until credit comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import WalletError

LOOPS = 12
_numbers = count()


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL, once the wallet has made it."""
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


def kinds(host: PlainSql) -> list[str]:
    """What was told, oldest first."""
    return [kind for (kind,) in host.run("SELECT kind FROM am_credit_outbox ORDER BY event_id")]


def key() -> str:
    return f"free-{next(_numbers)}"


class Agent:
    """An agent with a key, a wallet of ¥1,000, and everything that there is to be told of."""

    def __init__(self, wallets: CreditWallet) -> None:
        self.wallets = wallets
        self.wallet_id = wallets.create(
            monthly_budget_yen=100_000, auto_topup_threshold=500, auto_topup_amount=1_000
        ).wallet_id
        wallets.configure(self.wallet_id, low_balance_yen=600, budget_mode="cap")
        wallets.topup(self.wallet_id, 1_000, idempotency_key="topup")
        self.key_id = wallets.keys.create(self.wallet_id, monthly_cap_yen=50_000).key_id

    def hold(self, amount_yen: int = 1_000) -> int:
        held = self.wallets.hold(self.wallet_id, amount_yen, idempotency_key=key(), key_id=self.key_id)
        assert held.hold_id is not None
        return held.hold_id

    def refused(self, amount_yen: int) -> None:
        with pytest.raises(WalletError):
            self.wallets.charge(self.wallet_id, amount_yen, idempotency_key=key(), key_id=self.key_id)

    def release(self, hold_id: int) -> None:
        self.wallets.release(hold_id, idempotency_key=key())


def set_aside_and_be_refused(agent: Agent) -> None:
    hold_id = agent.hold()
    agent.refused(1)
    agent.release(hold_id)


def set_aside_and_release(agent: Agent) -> None:
    agent.release(agent.hold())


def be_refused_more_than_there_is(agent: Agent) -> None:
    agent.refused(2_000)


def set_aside_and_be_refused_more_than_there_is(agent: Agent) -> None:
    hold_id = agent.hold(600)
    agent.refused(2_000)
    agent.release(hold_id)


def ask_for_more_than_the_cap(agent: Agent) -> None:
    agent.refused(60_000)
    agent.refused(200_000)


def buy_and_undo(agent: Agent) -> None:
    name = key()
    agent.wallets.purchases.buy(agent.wallet_id, 1_000, purchase_key=name, attempt="a", key_id=agent.key_id)
    agent.refused(1)
    agent.wallets.purchases.undo(agent.wallet_id, name, attempt="a")


@on_every_database
@pytest.mark.parametrize(
    ("loop", "told"),
    [
        (set_aside_and_be_refused, ["balance.low", "topup.due", "wallet.exhausted"]),
        (set_aside_and_release, ["balance.low", "topup.due"]),
        (be_refused_more_than_there_is, ["wallet.exhausted"]),
        (set_aside_and_be_refused_more_than_there_is, ["balance.low", "topup.due", "wallet.exhausted"]),
        (ask_for_more_than_the_cap, []),
        (buy_and_undo, ["balance.low", "topup.due", "wallet.exhausted"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_free_loop_is_told_of_once_in_an_hour(
    wallets: CreditWallet, host: PlainSql, clock: Clock, loop: Callable[[Agent], None], told: list[str]
) -> None:
    agent = Agent(wallets)
    for hours in range(1, 4):
        for _ in range(LOOPS):
            loop(agent)
        assert set(kinds(host)) == set(told)
        assert all(kinds(host).count(kind) <= hours for kind in told)
        clock.advance(hours=1)


@on_every_database
def test_running_dry_is_told_again_when_credit_has_come_in_however_soon(wallets: CreditWallet, host: PlainSql) -> None:
    agent = Agent(wallets)
    for number in range(3):
        wallets.charge(agent.wallet_id, 1_000, idempotency_key=key())
        agent.refused(1)
        agent.refused(1)
        wallets.topup(agent.wallet_id, 1_000, idempotency_key=f"again-{number}")
    assert kinds(host).count("wallet.exhausted") == 3
    assert kinds(host).count("topup.due") == 3


def test_running_dry_is_told_though_what_is_set_aside_was_told_of_before(wallets: CreditWallet, host: PlainSql) -> None:
    agent = Agent(wallets)
    set_aside_and_be_refused(agent)
    wallets.charge(agent.wallet_id, 1_000, idempotency_key=key())
    agent.refused(1)
    assert kinds(host).count("wallet.exhausted") == 2


def test_a_refund_is_credit_as_well(wallets: CreditWallet, host: PlainSql) -> None:
    agent = Agent(wallets)
    for _ in range(2):
        charged = wallets.charge(agent.wallet_id, 1_000, idempotency_key=key())
        agent.refused(1)
        assert charged.txn_id is not None
        wallets.refund(charged.txn_id, idempotency_key=key())
    assert kinds(host).count("wallet.exhausted") == 2
