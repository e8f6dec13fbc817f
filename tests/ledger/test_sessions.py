"""Sessions and links as the ledger keeps them: how long they last, and who cannot use them.

Who would profit: whoever copied a cookie before it was rotated, whoever finds a link in a history or a log, a customer
who has handed the wallet over, whoever reads the database.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.links import MAX_LINKS
from credit_wallet.domain.sessions import (
    EARLIER_WORKS,
    IDLE,
    LIFETIME,
    MAX_SESSIONS,
    ROTATES_AFTER,
    USE_IS_NOTED_AFTER,
    BegunSession,
)
from credit_wallet.errors import InvalidRequest, Unauthorized, WalletClosed, WalletError, WalletNotFound
from credit_wallet.ledger.links import Links
from credit_wallet.ledger.sessions import Sessions

pytestmark = on_every_database

TOKEN = sha256(b"a token").hexdigest()
SUPPORT = Author("operator", "operator:3")


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    return wallets.create().wallet_id


def begin(wallets: CreditWallet, wallet_id: int | None, opened_by: str = "owner") -> BegunSession:
    return wallets.sessions.begin(opened_by, TOKEN, wallet_id)


def is_open(wallets: CreditWallet, secret: str) -> bool:
    try:
        wallets.sessions.open(secret)
    except Unauthorized:
        return False
    return True


def why_not(noun: Sessions | Links, secret: str) -> str:
    """Whether a secret that is refused has ended, or is unknown."""
    with pytest.raises(Unauthorized):
        noun.open(secret) if isinstance(noun, Sessions) else noun.take(secret)
    return "ended" if noun.is_known(secret) else "unknown"


# How long


def test_a_session_says_who_is_signed_in_and_ends_when_somebody_signs_out(
    wallets: CreditWallet, wallet_id: int
) -> None:
    begun = wallets.sessions.begin("agent:7", TOKEN, wallet_id, language="ja")
    session = wallets.sessions.open(begun.secret)
    assert (session.session_id, session.wallet_id, session.opened_by) == (begun.session_id, wallet_id, "agent:7")
    assert (session.csrf, session.token_sha256, session.language) == (begun.csrf, TOKEN, "ja")
    assert (session.linked_by, session.scopes, session.embedded) == (None, None, False)
    assert wallets.sessions.open(begin(wallets, None, "operator:3").secret).wallet_id is None
    for _ in range(2):
        wallets.sessions.end(begun.secret)
        assert why_not(wallets.sessions, begun.secret) == "unknown"
    wallets.sessions.end("")


def test_an_unused_session_ends_after_half_an_hour_and_a_used_one_after_twelve(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    unused, used = begin(wallets, wallet_id), begin(wallets, wallet_id)
    began = clock()
    while clock() < began + LIFETIME:
        session = wallets.sessions.open(used.secret)
        assert not wallets.sessions.has_ended(session)
        assert is_open(wallets, unused.secret) is (clock() < began + IDLE)
        assert session.use_is_due is (clock() > began)
        if session.use_is_due:
            wallets.sessions.note_use(session)
            assert not wallets.sessions.open(used.secret).use_is_due
        clock.advance(minutes=10)
    assert wallets.sessions.has_ended(session)
    assert why_not(wallets.sessions, used.secret) == "ended"


def test_its_use_is_noted_once_a_minute(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    begun = begin(wallets, wallet_id)
    clock.advance(seconds=USE_IS_NOTED_AFTER.total_seconds() - 1)
    assert not wallets.sessions.open(begun.secret).use_is_due
    wallets.sessions.note_use(wallets.sessions.open(begun.secret))
    clock.advance(seconds=1)
    assert wallets.sessions.open(begun.secret).use_is_due


def test_a_clock_that_steps_back_makes_no_session_last_longer(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    began, begun = clock(), begin(wallets, wallet_id)
    clock.advance(seconds=-59)  # another node's clock
    assert is_open(wallets, begun.secret)
    clock.advance(minutes=-2)
    assert why_not(wallets.sessions, begun.secret) == "ended"
    clock.set(began + timedelta(minutes=20))
    wallets.sessions.note_use(wallets.sessions.open(begun.secret))
    clock.set(began + timedelta(minutes=5))
    assert not is_open(wallets, begun.secret)
    clock.set(began + timedelta(minutes=49))
    assert is_open(wallets, begun.secret)


# The secret


def test_the_earlier_secret_works_for_a_minute_and_a_copied_cookie_not_longer(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    begun = begin(wallets, wallet_id)
    assert not wallets.sessions.open(begun.secret).rotate_due
    clock.advance(seconds=ROTATES_AFTER.total_seconds())
    assert wallets.sessions.open(begun.secret).rotate_due
    new = wallets.sessions.rotate(begun.secret)
    assert new is not None
    earlier, current = wallets.sessions.open(begun.secret), wallets.sessions.open(new)
    assert earlier == current
    assert not current.rotate_due
    assert wallets.sessions.rotate(begun.secret) is None  # another tab, with the cookie of before
    clock.advance(seconds=EARLIER_WORKS.total_seconds() - 1)
    assert is_open(wallets, begun.secret)
    clock.advance(seconds=1)
    for use in (wallets.sessions.open, wallets.sessions.rotate, wallets.sessions.end_all):
        with pytest.raises(Unauthorized):
            use(begun.secret)
    assert wallets.sessions.is_known(begun.secret)
    wallets.sessions.end(begun.secret)
    assert is_open(wallets, new)


def test_with_the_clock_put_back_the_earlier_secret_does_not_work_again(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    began, begun = clock(), begin(wallets, wallet_id)
    clock.advance(minutes=20)
    new = wallets.sessions.rotate(begun.secret)
    clock.set(began + timedelta(minutes=10))
    assert new is not None
    assert is_open(wallets, new)
    assert not is_open(wallets, begun.secret)


def test_of_two_that_rotate_at_once_one_gets_the_new_secret(wallets: CreditWallet, wallet_id: int) -> None:
    begun = begin(wallets, wallet_id)
    with ThreadPoolExecutor(4) as pool:
        new = [each for each in pool.map(wallets.sessions.rotate, [begun.secret] * 4) if each is not None]
    assert len(new) == 1
    assert is_open(wallets, new[0])


def test_nothing_that_opens_anything_is_in_the_database(wallets: CreditWallet, wallet_id: int, db_url: str) -> None:
    begun = begin(wallets, wallet_id)
    new = wallets.sessions.rotate(begun.secret)
    link = wallets.links.create(wallet_id)
    taken = wallets.links.take(link.secret)
    with PlainSql(db_url) as sql:
        stored = [
            str(row)
            for table in ("am_credit_session", "am_credit_link", "am_credit_act")
            for row in sql.run(f"SELECT * FROM {table}")
        ]
    assert len(stored) > 3
    for secret in (begun.secret, new, link.secret, taken.secret):
        assert secret is not None
        assert not any(secret in row for row in stored)


# How many


def test_of_one_owner_the_fifty_sessions_that_were_used_last_stay(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    others = [begin(wallets, wallet_id, "agent:1"), begin(wallets, wallets.create().wallet_id)]
    first, *rest = [begin(wallets, wallet_id) for _ in range(MAX_SESSIONS)]
    clock.advance(minutes=2)
    wallets.sessions.note_use(wallets.sessions.open(first.secret))
    another = begin(wallets, wallet_id)
    assert [is_open(wallets, each.secret) for each in (first, *rest, another, *others)] == (
        [True, False] + [True] * (MAX_SESSIONS - 2 + 1 + len(others))
    )


def test_signing_in_again_ends_the_session_of_the_same_browser(wallets: CreditWallet, wallet_id: int) -> None:
    first, other = begin(wallets, wallet_id), begin(wallets, wallet_id)
    second = wallets.sessions.begin("operator:3", TOKEN, earlier=first.secret)
    third = wallets.links.take(wallets.links.create(wallet_id).secret, earlier=second.secret)
    assert [is_open(wallets, each.secret) for each in (first, second, third, other)] == [False, False, True, True]


def test_signing_out_everywhere_ends_all_sessions_of_one_and_nobody_elses(
    wallets: CreditWallet, wallet_id: int
) -> None:
    mine = [begin(wallets, wallet_id) for _ in range(3)]
    others = [begin(wallets, wallet_id, "agent:1"), begin(wallets, wallets.create().wallet_id), begin(wallets, None)]
    assert wallets.sessions.end_all(mine[0].secret) == len(mine)
    assert not any(is_open(wallets, each.secret) for each in mine)
    assert all(is_open(wallets, each.secret) for each in others)


def test_old_sessions_and_links_are_pruned(wallets: CreditWallet, wallet_id: int, clock: Clock, db_url: str) -> None:
    begin(wallets, wallet_id)
    wallets.links.create(wallet_id)
    clock.advance(days=5)
    kept, link = begin(wallets, wallet_id), wallets.links.create(wallet_id)
    assert wallets.maintenance.prune_idempotency_keys(2) >= 2
    with PlainSql(db_url) as sql:
        assert sql.run("SELECT count(*) FROM am_credit_session") == [(1,)]
        assert sql.run("SELECT count(*) FROM am_credit_link") == [(1,)]
    assert is_open(wallets, kept.secret)
    assert wallets.links.take(link.secret)


# Links


def test_a_link_opens_a_session_once(wallets: CreditWallet, wallet_id: int) -> None:
    link = wallets.acting(SUPPORT).links.create(
        wallet_id, scopes=["read"], path="/wallet/keys?page=2", language="ja", token_sha256=TOKEN
    )
    begun = wallets.links.take(link.secret, embedded=True)
    assert (begun.path, begun.embedded, begun.language) == ("/wallet/keys?page=2", True, "ja")
    session = wallets.sessions.open(begun.secret)
    assert (session.wallet_id, session.opened_by, session.linked_by) == (wallet_id, "link:operator:3", "operator:3")
    assert (session.scopes, session.embedded, session.language) == (("read",), True, "ja")
    assert (session.token_sha256, session.csrf) == (TOKEN, begun.csrf)
    assert why_not(wallets.links, link.secret) == "ended"
    assert why_not(wallets.links, f"{link.secret}x") == "unknown"
    assert why_not(wallets.links, "") == "unknown"
    assert not is_open(wallets, link.secret)


def test_of_four_that_take_a_link_at_once_one_is_let_in(wallets: CreditWallet, wallet_id: int) -> None:
    link = wallets.links.create(wallet_id)

    def take(_: int) -> BegunSession | None:
        try:
            return wallets.links.take(link.secret)
        except Unauthorized:
            return None

    with ThreadPoolExecutor(4) as pool:
        taken = [each for each in pool.map(take, range(4)) if each is not None]
    assert len(taken) == 1
    assert is_open(wallets, taken[0].secret)


def test_two_processes_let_one_in(wallets: CreditWallet, wallet_id: int, db_url: str, clock: Clock) -> None:
    link = wallets.links.create(wallet_id)
    with CreditWallet.open(db_url, clock=clock) as other, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(each.links.take, link.secret) for each in (wallets, other)]
        assert [each.exception() is None for each in asked].count(True) == 1


def test_a_link_ends_after_its_seconds_and_a_clock_put_back_does_not_open_it(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    began = clock()
    on_time, late, early = (wallets.links.create(wallet_id, expires_in_seconds=30) for _ in range(3))
    clock.advance(seconds=29)
    assert wallets.links.take(on_time.secret)
    clock.advance(seconds=1)
    assert why_not(wallets.links, late.secret) == "ended"
    clock.set(began - timedelta(minutes=5))
    assert why_not(wallets.links, early.secret) == "ended"


def test_whoever_makes_a_link_stands_in_the_log(wallets: CreditWallet, wallet_id: int) -> None:
    link = wallets.acting(SUPPORT).links.create(wallet_id, scopes=["read"], path="/wallet/usage")
    [act, *_] = wallets.log(wallet_id, kind="link")
    assert (act.kind, act.subject, act.by) == ("link.created", f"wallet:{wallet_id}", "operator:3")
    assert act.after == {"scopes": ["read"], "expires_at": link.expires_at}
    before = len(wallets.log())
    session = wallets.links.take(link.secret)
    wallets.sessions.end(session.secret)
    assert len(wallets.log()) == before


def test_of_a_wallet_the_hundred_newest_links_stay(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    first, second, third = (wallets.links.create(wallet_id, expires_in_seconds=3_600) for _ in range(3))
    wallets.links.take(second.secret)
    for _ in range(MAX_LINKS - 1):
        clock.advance(seconds=1)
        wallets.links.create(wallet_id, expires_in_seconds=3_600)
    assert why_not(wallets.links, second.secret) == "unknown"
    taken = [each for each in (first, third) if _takes(wallets, each.secret)]
    assert len(taken) == 1


def _takes(wallets: CreditWallet, secret: str) -> bool:
    try:
        wallets.links.take(secret)
    except Unauthorized:
        return False
    return True


@pytest.mark.parametrize(
    "settings",
    [
        {"expires_in_seconds": 29},
        {"expires_in_seconds": 3_601},
        {"expires_in_seconds": True},
        {"scopes": []},
        {"scopes": ["spend"]},
        {"scopes": "read"},
        {"path": "//elsewhere.example"},
        {"path": "https://elsewhere.example/wallet"},
        {"path": "/console"},
        {"path": "/wallet/../console"},
        {"path": "/wallet/\\elsewhere"},
        {"path": "/wallet\n"},
        {"path": "/walletkeys"},
        {"path": "/wallet/" + "a" * 200},
        {"language": "fr"},
    ],
    ids=str,
)
def test_a_link_is_refused_that_leads_elsewhere_or_allows_too_much(
    wallets: CreditWallet, wallet_id: int, settings: dict[str, object]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        wallets.links.create(wallet_id, **settings)  # type: ignore[arg-type]
    assert refused.value.details["field"] in settings


# The wallet's end


def close(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.close_wallet(wallet_id, note="leaves", unused="write_off")


def merge(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.merge(wallet_id, wallets.create().wallet_id, note="twice")


def erase(wallets: CreditWallet, wallet_id: int) -> None:
    close(wallets, wallet_id)
    wallets.erase_personal_data(wallet_id)


def hand_over(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.hand_over(wallet_id, "another customer", rotate_token=True)


@pytest.mark.parametrize("end", [close, merge, erase, hand_over])
def test_whatever_ends_a_wallets_tokens_ends_its_sessions_and_links(
    wallets: CreditWallet, wallet_id: int, db_url: str, end: Callable[[CreditWallet, int], None]
) -> None:
    linked = wallets.links.take(wallets.links.create(wallet_id).secret)
    mine, others = begin(wallets, wallet_id), begin(wallets, wallets.create().wallet_id)
    link = wallets.links.create(wallet_id)
    end(wallets, wallet_id)
    assert [is_open(wallets, each.secret) for each in (linked, mine, others)] == [False, False, True]
    assert why_not(wallets.links, link.secret) == "unknown"
    with PlainSql(db_url) as sql:
        left = sql.run(f"SELECT count(*) FROM am_credit_session WHERE wallet_id = {wallet_id}")
    assert left == [(0,)]
    assert wallets.verify() == []


def test_a_wallet_of_another_customer_keeps_its_tokens_and_ends_what_links_have_opened(
    wallets: CreditWallet, wallet_id: int
) -> None:
    linked, mine = wallets.links.take(wallets.links.create(wallet_id).secret), begin(wallets, wallet_id)
    link = wallets.links.create(wallet_id)
    wallets.hand_over(wallet_id, "another customer")
    assert [is_open(wallets, each.secret) for each in (linked, mine)] == [False, True]
    assert why_not(wallets.links, link.secret) == "unknown"
    later = wallets.links.take(wallets.links.create(wallet_id).secret)
    wallets.hand_over(wallet_id, "another customer", metadata={"plan": "pro"})
    assert is_open(wallets, later.secret)


def test_nobody_is_let_in_to_a_wallet_that_is_closed_or_not_there(
    wallets: CreditWallet, wallet_id: int, db_url: str
) -> None:
    link = wallets.links.create(wallet_id)
    with PlainSql(db_url) as sql:
        sql.run(f"UPDATE am_credit_wallet SET closing_at = '2026-05-15T12:00:00.000Z' WHERE wallet_id = {wallet_id}")
    assert why_not(wallets.links, link.secret) == "ended"
    refusals: tuple[tuple[int, type[WalletError]], ...] = ((wallet_id, WalletClosed), (wallet_id + 1, WalletNotFound))
    for whose, refusal in refusals:
        with pytest.raises(refusal):
            wallets.links.create(whose)
