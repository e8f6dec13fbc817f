"""Who is signed in to the pages, and what ends it.

Who would profit: whoever signs in with a token that leaked and is revoked afterwards, an operator who was thrown out, a
customer whose link was made by one, whoever guesses secrets, whoever was let in to see and wants to change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.sessions import BegunSession, OpenSession
from credit_wallet.domain.tokens import new_operator_key, new_session_secret, token_hash
from credit_wallet.errors import DatabaseError, Forbidden, Unauthorized
from credit_wallet.wire import auth, people
from credit_wallet.wire.auth import BELIEVED_SECONDS, Authenticator, Caller
from credit_wallet.wire.failure_limit import FAILURES_ALLOWED
from credit_wallet.wire.operator_keys import operator_key
from credit_wallet.wire.people import People
from credit_wallet.wire.problems import TooManyFailures

pytestmark = on_every_database

T = TypeVar("T")

ROOT_KEY = new_operator_key()
ADDRESS = "192.0.2.1"


class Seconds:
    """The monotonic clock of the service, set by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Door:
    """The people of one service process."""

    def __init__(self, wallets: CreditWallet, loop: asyncio.Runner, root: str = ROOT_KEY) -> None:
        self._people = People(wallets, Authenticator(wallets, [operator_key("root", root)]))
        self._loop = loop

    def sign_in(self, token: str, address: str = ADDRESS, **rest: Any) -> BegunSession:
        return self._loop.run(self._people.sign_in(token, address, **rest))

    def enter(self, link: str, address: str = ADDRESS, **rest: Any) -> BegunSession:
        return self._loop.run(self._people.enter(link, address, **rest))

    def session(self, secret: str, address: str = ADDRESS) -> tuple[OpenSession, Caller]:
        return self._loop.run(self._people.session(secret, address))

    def run(self, ask: Callable[[People], Coroutine[Any, Any, T]]) -> T:
        return self._loop.run(ask(self._people))

    def opens(self, begun: BegunSession) -> bool:
        try:
            self.session(begun.secret)
        except Unauthorized:
            return False
        return True


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr(auth, "monotonic", clock)
    monkeypatch.setattr(people, "monotonic", clock)
    return clock


@pytest.fixture
def door(wallets: CreditWallet, loop: asyncio.Runner) -> Door:
    return Door(wallets, loop)


def link_of(wallets: CreditWallet, wallet_id: int, token: str, **settings: Any) -> str:
    """A link that whoever has an operator's token has made."""
    author = Author("operator", "operator:root" if token == ROOT_KEY else "operator:1")
    return wallets.acting(author).links.create(wallet_id, token_sha256=token_hash(token), **settings).secret


# Signing in


def test_owners_agents_and_operators_sign_in_as_themselves(wallets: CreditWallet, door: Door) -> None:
    owner = wallets.create()
    key = wallets.keys.create(owner.wallet_id)
    operator = wallets.operators.create("alice", "viewer")
    callers = {
        owner.owner_token: ("owner", owner.wallet_id),
        key.token: (f"agent:{key.key_id}", owner.wallet_id),
        operator.token: (f"operator:{operator.operator_id}", None),
        ROOT_KEY: ("operator:root", None),
    }
    for token, (name, wallet_id) in callers.items():
        session, caller = door.session(door.sign_in(f" {token}\n", language="ja").secret)
        assert (session.opened_by, session.wallet_id, session.language) == (name, wallet_id, "ja")
        assert (caller.name, caller.token_sha256, caller.linked_by) == (name, token_hash(token), None)
        assert caller == door.run(lambda people, token=token: people._authenticator.signing_in(token, ADDRESS))  # type: ignore[misc]


def test_whoever_could_see_nothing_is_told_so(wallets: CreditWallet, door: Door) -> None:
    wallet_id = wallets.create().wallet_id
    blind = {
        wallets.sellers.create().token: "seller",
        wallets.keys.create(wallet_id, scopes=["spend"]).token: "agent key",
        wallets.operators.create("shop", "seller").token: "operator key",
    }
    for token, who in blind.items():
        with pytest.raises(Forbidden, match=who):
            door.sign_in(token)


def test_bad_tokens_count_and_bad_cookies_keep_nobody_from_signing_in(
    wallets: CreditWallet, door: Door, clock: Clock
) -> None:
    token = wallets.create().owner_token
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthorized):
            door.session(new_session_secret())
    with pytest.raises(TooManyFailures):
        door.session(new_session_secret())
    begun = door.sign_in(token)
    assert door.session(begun.secret, "192.0.2.2")
    assert door.session(begun.secret)
    clock.advance(minutes=10)
    new = door.run(lambda people: people.rotate(begun.secret, ADDRESS))
    assert new is not None
    assert door.session(new)
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthorized):
            door.sign_in("not a token", "192.0.2.3")
    with pytest.raises(TooManyFailures):
        door.sign_in(new_operator_key(), "192.0.2.3")


def test_a_cookie_of_a_session_that_has_ended_is_no_guess(wallets: CreditWallet, door: Door, clock: Clock) -> None:
    begun = [door.sign_in(wallets.create().owner_token) for _ in range(FAILURES_ALLOWED + 2)]
    clock.advance(hours=1)
    assert [door.opens(each) for each in begun] == [False] * len(begun)
    link = wallets.links.create(1)
    door.enter(link.secret)
    for _ in range(FAILURES_ALLOWED + 1):
        with pytest.raises(Unauthorized):
            door.enter(link.secret)
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthorized):
            door.enter("guess")
    with pytest.raises(TooManyFailures):
        door.enter("guess")


# What ends it


def _revoked(wallets: CreditWallet, token: str) -> None:
    wallets.tokens.revoke(token)


def _rotated(wallets: CreditWallet, token: str) -> None:
    wallets.rotate_owner_token(wallets.tokens.authenticate(token).wallet_id, overlap_seconds=0)


def _closed(wallets: CreditWallet, token: str) -> None:
    wallets.close_wallet(wallets.tokens.authenticate(token).wallet_id, note="leaves", unused="write_off")


def _handed_over(wallets: CreditWallet, token: str) -> None:
    wallets.hand_over(wallets.tokens.authenticate(token).wallet_id, "cust_2", rotate_token=True)


@pytest.mark.parametrize("end", [_revoked, _rotated, _closed, _handed_over])
def test_a_session_ends_at_once_with_its_token(
    wallets: CreditWallet, door: Door, end: Callable[[CreditWallet, str], None]
) -> None:
    token, other = wallets.create().owner_token, wallets.create().owner_token
    begun, others = door.sign_in(token), door.sign_in(other)
    assert door.opens(begun)
    end(wallets, token)
    assert [door.opens(each) for each in (begun, others)] == [False, True]


@pytest.mark.parametrize("end", [_revoked, _rotated, _closed, _handed_over])
def test_and_within_a_second_when_another_process_ends_it(
    wallets: CreditWallet,
    door: Door,
    db_url: str,
    clock: Clock,
    seconds: Seconds,
    end: Callable[[CreditWallet, str], None],
) -> None:
    token = wallets.create().owner_token
    begun = door.sign_in(token)
    assert door.opens(begun)
    with CreditWallet.open(db_url, clock=clock) as other:
        end(other, token)
    seconds.now += BELIEVED_SECONDS
    assert not door.opens(begun)


def test_signing_out_elsewhere_counts_within_a_second(
    wallets: CreditWallet, door: Door, db_url: str, clock: Clock, seconds: Seconds
) -> None:
    begun = door.sign_in(wallets.create().owner_token)
    assert door.opens(begun)
    with CreditWallet.open(db_url, clock=clock) as other:
        other.sessions.end(begun.secret)
    seconds.now += BELIEVED_SECONDS
    assert not door.opens(begun)


def test_with_an_overlap_a_session_lasts_as_long_as_the_earlier_token(
    wallets: CreditWallet, door: Door, clock: Clock
) -> None:
    created = wallets.create()
    begun = door.sign_in(created.owner_token)
    wallets.rotate_owner_token(created.wallet_id, overlap_seconds=600)
    ends_at = (clock() + timedelta(seconds=600)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert door.session(begun.secret)[0].ends_at == ends_at
    clock.advance(seconds=599)
    assert door.opens(begun)
    clock.advance(seconds=1)
    assert not door.opens(begun)


def test_an_agent_keys_session_ends_with_the_key(wallets: CreditWallet, door: Door) -> None:
    wallet_id = wallets.create().wallet_id
    revoked, kept = wallets.keys.create(wallet_id), wallets.keys.create(wallet_id)
    begun = [door.sign_in(key.token) for key in (revoked, kept)]
    wallets.keys.revoke(revoked.key_id)
    assert [door.opens(each) for each in begun] == [False, True]


def test_an_operators_session_has_the_role_of_now_and_ends_with_the_operator(wallets: CreditWallet, door: Door) -> None:
    operator = wallets.operators.create("alice", "viewer")
    begun = door.sign_in(operator.token)
    assert "support" not in door.session(begun.secret)[1].permissions
    wallets.operators.configure(operator.operator_id, role="support")
    assert "support" in door.session(begun.secret)[1].permissions
    wallets.operators.revoke(operator.operator_id)
    assert not door.opens(begun)


def test_a_key_that_the_environment_has_no_longer_ends_its_sessions_and_links_at_the_restart(
    wallets: CreditWallet, door: Door, loop: asyncio.Runner
) -> None:
    wallet_id = wallets.create().wallet_id
    begun, linked = door.sign_in(ROOT_KEY), door.enter(link_of(wallets, wallet_id, ROOT_KEY))
    restarted, without_it = Door(wallets, loop), Door(wallets, loop, new_operator_key())
    for each in (begun, linked):
        assert restarted.opens(each)
        assert not without_it.opens(each)


def test_a_hash_that_opens_another_wallet_now_opens_no_session_of_the_one_before(
    wallets: CreditWallet, door: Door
) -> None:
    first, second = wallets.create().wallet_id, wallets.create().wallet_id
    wallets.secrets.register(first, token_hash("a key of the host"))
    begun = door.sign_in("a key of the host")
    wallets.secrets.remove(token_hash("a key of the host"))
    wallets.secrets.register(second, token_hash("a key of the host"))
    assert not door.opens(begun)


# Links


def test_whoever_a_link_lets_in_acts_in_its_makers_name_within_its_scopes(wallets: CreditWallet, door: Door) -> None:
    operator, wallet_id = wallets.operators.create("alice", "support"), wallets.create().wallet_id
    reader = door.enter(link_of(wallets, wallet_id, operator.token, scopes=["read"]))
    manager = door.enter(link_of(wallets, wallet_id, operator.token), embedded=True)
    _, reading = door.session(reader.secret)
    session, managing = door.session(manager.secret)
    assert session.embedded
    for caller in (reading, managing):
        assert caller.access is not None
        assert (caller.access.wallet_id, caller.key_id) == (wallet_id, None)
        assert (caller.name, caller.actor, caller.token_sha256) == ("link:operator:1", "payer", None)
        assert caller.permissions.isdisjoint({"own", "spend", "view", "support", "administer"})
        caller.require("read")
    managing.require("manage")
    for caller, needed in ((reading, "manage"), (managing, "own"), (managing, "spend"), (managing, "view")):
        with pytest.raises(Forbidden):
            caller.require(needed)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["key revoked", "operator revoked", "another role"])
def test_what_an_operators_link_has_opened_ends_with_the_operators_right_to_make_it(
    wallets: CreditWallet, door: Door, how: str
) -> None:
    operator, wallet_id = wallets.operators.create("alice", "support"), wallets.create().wallet_id
    begun = door.enter(link_of(wallets, wallet_id, operator.token))
    later = link_of(wallets, wallet_id, operator.token)
    by_command_line = door.enter(wallets.links.create(wallet_id).secret)
    assert door.opens(begun)
    if how == "key revoked":
        wallets.operators.revoke_key(operator.operator_id, operator.operator_key_id)
    elif how == "operator revoked":
        wallets.operators.revoke(operator.operator_id)
    else:
        wallets.operators.configure(operator.operator_id, role="viewer")
    assert not door.opens(begun)
    assert not door.opens(door.enter(later))
    assert door.opens(by_command_line)


def test_what_is_done_in_a_links_session_names_its_maker_and_owners_see_that_it_was_a_link(
    wallets: CreditWallet, door: Door
) -> None:
    from credit_wallet.domain.acts import as_owner_sees

    operator, wallet_id = wallets.operators.create("alice", "support"), wallets.create().wallet_id
    _, caller = door.session(door.enter(link_of(wallets, wallet_id, operator.token)).secret)
    wallets.acting(Author(caller.actor, caller.name, ADDRESS)).keys.create(wallet_id)
    [act, *_] = wallets.log(wallet_id, kind="key.created")
    assert (act.by, act.actor, act.address) == ("link:operator:1", "payer", ADDRESS)
    assert (as_owner_sees(act).by, as_owner_sees(act).address) == ("link", ADDRESS)


# Rotation and use


def test_rotation_and_signing_out_count_at_once(wallets: CreditWallet, door: Door, clock: Clock) -> None:
    created = wallets.create()
    begun, other = door.sign_in(created.owner_token), door.sign_in(created.owner_token)
    clock.advance(minutes=10)
    assert door.session(begun.secret)[0].rotate_due
    new = door.run(lambda people: people.rotate(begun.secret, ADDRESS))
    assert new is not None
    assert not door.session(new)[0].rotate_due
    assert not door.session(begun.secret)[0].rotate_due
    assert door.run(lambda people: people.rotate(begun.secret, ADDRESS)) is None
    clock.advance(seconds=60)
    assert not door.opens(begun)
    door.run(lambda people: people.end(new))
    with pytest.raises(Unauthorized):
        door.session(new)
    door.run(lambda people: people.end(new))
    assert door.run(lambda people: people.end_all(other.secret)) == 1
    assert not door.opens(other)


def test_a_session_that_is_used_lasts_and_one_that_is_believed_still_ends(
    wallets: CreditWallet, door: Door, clock: Clock, seconds: Seconds
) -> None:
    begun = door.sign_in(wallets.create().owner_token)
    for _ in range(4):
        clock.advance(minutes=29)
        seconds.now += 29 * 60
        assert door.opens(begun)
        assert door.opens(begun)
    clock.advance(minutes=30)
    assert not door.opens(begun)


def test_the_use_of_a_session_is_written_once_a_minute(
    wallets: CreditWallet, door: Door, clock: Clock, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[OpenSession] = []
    note_use = wallets.sessions.note_use

    def noting(session: OpenSession) -> None:
        written.append(session)
        note_use(session)

    monkeypatch.setattr(wallets.sessions, "note_use", noting)
    begun = door.sign_in(wallets.create().owner_token)
    for _ in range(360):
        assert door.opens(begun)
        clock.advance(seconds=0.5)
        seconds.now += 0.5
    assert len(written) == 2


def test_a_database_that_takes_no_writes_still_shows_pages(
    wallets: CreditWallet, door: Door, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = door.sign_in(wallets.create().owner_token)

    def full(_: OpenSession) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(wallets.sessions, "note_use", full)
    clock.advance(minutes=29)
    assert door.opens(begun)
    clock.advance(minutes=1)
    assert not door.opens(begun)
