"""What is remembered of a token lets no movement through that the token does not pay for any more.

Who would profit: an agent whose key was revoked, an owner whose token leaked and was rotated, a seller that was thrown
out. Each goes on with the token that the service knows, while other wallets' charges keep its memory fresh, and the end
of the token was made in another process, which tells this one nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

import httpx
import pytest
from clock import Clock
from databases import on_both_databases, on_postgres, on_sqlite
from http_answers import CREDIT_YEN, funded
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey, CreatedWallet
from credit_wallet.http.fast import CALLS
from credit_wallet.ledger import rail
from credit_wallet.wire import auth
from credit_wallet.wire.auth import BELIEVED_SECONDS, REMEMBERED_SECONDS

HOSTS_OWN = "a key of the host's own"


class Seconds:
    """The monotonic clock of the service and of the rail, set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr(auth, "monotonic", clock)
    monkeypatch.setattr(rail, "monotonic", clock)
    return clock


@pytest.fixture
def looked_up(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that the database was asked for."""
    asked: list[str] = []
    identify = wallets.tokens.identify

    def asking(token: str) -> object:
        asked.append(token)
        return identify(token)

    monkeypatch.setattr(wallets.tokens, "identify", asking)
    return asked


def charge(api: Api, token: str, key: object) -> httpx.Response:
    return api.post("/credit/charge", token, key=str(key), amount_yen=1)


# How long


@on_sqlite
def test_while_nobody_else_writes_a_token_that_pays_is_looked_up_once_a_minute(
    wallets: CreditWallet, seconds: Seconds, looked_up: list[str]
) -> None:
    token = funded(wallets).owner_token
    with Api(new_app(wallets)) as api:
        for number in range(int(3 * REMEMBERED_SECONDS)):
            assert charge(api, token, number).status_code == 200
            seconds.now += 1 - 1 / 128
    assert len(looked_up) == 3


@on_sqlite
def test_without_a_batch_that_looked_nobody_is_believed_for_longer_than_a_second(
    wallets: CreditWallet, seconds: Seconds, looked_up: list[str]
) -> None:
    token = funded(wallets).owner_token
    with Api(new_app(wallets)) as api:
        for _ in range(3):
            assert api.get("/credit/whoami", token).status_code == 200
            seconds.now += BELIEVED_SECONDS
    assert len(looked_up) == 3


@on_postgres
def test_on_postgresql_a_token_is_looked_up_every_second(
    wallets: CreditWallet, seconds: Seconds, looked_up: list[str]
) -> None:
    """Nothing says there that other nodes have written."""
    token = funded(wallets).owner_token
    with Api(new_app(wallets)) as api:
        for number in range(3):
            assert charge(api, token, number).status_code == 200
            seconds.now += BELIEVED_SECONDS
    assert len(looked_up) == 3


@on_sqlite
def test_who_writes_beside_the_service_shortens_its_memory_to_a_second_and_not_further(
    wallets: CreditWallet, db_url: str, clock: Clock, seconds: Seconds, looked_up: list[str]
) -> None:
    token = funded(wallets).owner_token
    with Api(new_app(wallets)) as api, CreditWallet.open(db_url, clock=clock) as other:
        for number in range(40):
            other.topup(1, 1, idempotency_key=f"{number}")
            assert charge(api, token, number).status_code == 200
            seconds.now += 0.25
    assert len(looked_up) == 10


# Ended elsewhere


class Market(NamedTuple):
    """A wallet whose tokens end, the agent and seller beside it, and a neighbour who goes on paying."""

    wallet: CreatedWallet
    agent: CreatedKey
    seller_token: str
    seller_id: int
    neighbour: CreatedWallet


@pytest.fixture
def market(wallets: CreditWallet) -> Market:
    wallet, neighbour = funded(wallets), funded(wallets)
    agent = wallets.keys.create(wallet.wallet_id)
    wallets.secrets.register(wallet.wallet_id, sha256(HOSTS_OWN.encode()).hexdigest())
    seller = wallets.sellers.create()
    return Market(wallet, agent, seller.token, seller.seller_id, neighbour)


Ending = Callable[[CreditWallet, Market], object]

ENDINGS: dict[str, tuple[Callable[[Market], str], Ending]] = {
    "owner token rotated": (
        lambda market: market.wallet.owner_token,
        lambda node, market: node.rotate_owner_token(market.wallet.wallet_id, overlap_seconds=0),
    ),
    "agent key rotated": (
        lambda market: market.agent.token,
        lambda node, market: node.keys.rotate(market.agent.key_id, overlap_seconds=0),
    ),
    "agent key revoked": (
        lambda market: market.agent.token,
        lambda node, market: node.keys.revoke(market.agent.key_id),
    ),
    "host's key removed": (
        lambda _: HOSTS_OWN,
        lambda node, _: node.secrets.remove(sha256(HOSTS_OWN.encode()).hexdigest()),
    ),
}
"""What ends which token of a payer."""

MOVEMENTS: dict[str, dict[str, object]] = {
    "/credit/charge": {"amount_yen": 3},
    "/credit/hold": {"amount_yen": 3},
    "/credit/capture": {"hold_id": 1, "amount_yen": 2},
    "/credit/release": {"hold_id": 1},
    "/credit/purchase": {"amount_yen": 3, "attempt": "a"},
}


def move(api: Api, path: str, token: str, market: Market, key: str) -> httpx.Response:
    """The movement that a payer's token asks for; a purchase is asked for by the seller, in the payer's name."""
    if path != "/credit/purchase":
        return api.post(path, token, key=key, **MOVEMENTS[path])
    headers = {"X-Payer-Token": token}
    return api.call("POST", path, market.seller_token, key=key, json=MOVEMENTS[path], headers=headers)


@pytest.fixture(params=[True, False], ids=["fast", "documented"])
def api(wallets: CreditWallet, request: pytest.FixtureRequest) -> Iterator[Api]:
    with Api(new_app(wallets, fast_lane=request.param)) as opened:
        yield opened


def test_every_movement_of_the_lane_is_asked_for() -> None:
    assert MOVEMENTS.keys() == CALLS.keys()


@on_both_databases
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("path", MOVEMENTS)
def test_a_token_that_ended_elsewhere_moves_nothing_however_fresh_the_memory_is_kept(
    api: Api, wallets: CreditWallet, market: Market, db_url: str, clock: Clock, seconds: Seconds, path: str, ending: str
) -> None:
    token_of, end = ENDINGS[ending]
    token, wallet_id = token_of(market), market.wallet.wallet_id
    key_id = market.agent.key_id if token == market.agent.token else None
    wallets.hold(wallet_id, 10, idempotency_key="held", key_id=key_id, actor="payer")
    assert api.get("/credit/whoami", token).status_code == 200
    with CreditWallet.open(db_url, clock=clock) as other:
        for number in range(5):  # known for long, and only because of what the neighbour does
            assert charge(api, market.neighbour.owner_token, number).status_code == 200
            assert charge(api, token, f"before-{number}").status_code == 200
            seconds.now += 0.9
        before = wallets.balance(wallet_id)
        end(other, market)
        if ending == "agent key revoked":  # the transaction decides: it need not be looked up
            assert move(api, path, token, market, "at once").status_code == 401
        for number in range(5, 10):
            assert charge(api, market.neighbour.owner_token, number).status_code == 200
            seconds.now += BELIEVED_SECONDS / 5
        for number in range(10, 13):
            assert charge(api, market.neighbour.owner_token, number).status_code == 200
            answer = move(api, path, token, market, f"after-{number}")
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
            seconds.now += 0.9
    assert wallets.balance(wallet_id) == before
    assert wallets.verify() == []


@on_both_databases
@pytest.mark.parametrize("ending", ["rotated", "revoked"])
def test_a_seller_that_ended_elsewhere_sells_nothing(
    api: Api, wallets: CreditWallet, market: Market, db_url: str, clock: Clock, seconds: Seconds, ending: str
) -> None:
    assert move(api, "/credit/purchase", market.wallet.owner_token, market, "before").status_code == 200
    with CreditWallet.open(db_url, clock=clock) as other:
        if ending == "rotated":
            other.sellers.rotate(market.seller_id, overlap_seconds=0)
        else:
            other.sellers.revoke(market.seller_id)
        assert charge(api, market.neighbour.owner_token, "meanwhile").status_code == 200
        seconds.now += BELIEVED_SECONDS
        for path in MOVEMENTS:
            answer = api.post(path, market.seller_token, key=path, **MOVEMENTS[path])
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
    assert wallets.balance(market.wallet.wallet_id) == CREDIT_YEN - 3


@on_both_databases
def test_what_the_transaction_decides_counts_at_once_for_a_token_that_is_remembered(
    api: Api, wallets: CreditWallet, market: Market, db_url: str, clock: Clock
) -> None:
    """Caps, ends and closed wallets: not what a token opens, but what may be paid with it."""
    agent, owner = market.agent.token, market.wallet.owner_token
    ending = wallets.keys.create(market.wallet.wallet_id, expires_at="2026-05-15T12:01:00Z").token
    assert [charge(api, token, f"known-{token[-4:]}").status_code for token in (agent, owner, ending)] == [200] * 3

    def refusals(token: str) -> set[str]:
        spending = [move(api, path, token, market, f"{clock()}{path}") for path in ("/credit/charge", "/credit/hold")]
        return {answer.json()["code"] for answer in spending}

    with CreditWallet.open(db_url, clock=clock) as other:
        other.keys.configure(market.agent.key_id, monthly_cap_yen=1)
        assert refusals(agent) == {"key_cap_exhausted"}
        clock.advance(seconds=60)
        assert refusals(ending) == {"unauthorized"}
        other.freeze(market.wallet.wallet_id)
        for token in (agent, owner):
            assert refusals(token) == {"wallet_disabled"}
    assert charge(api, OPERATOR_KEY, "operator").json()["code"] == "invalid_request"  # it names no wallet
