"""Any course of cheating buyers, slow handlers and dying workers leaves every request paid as it was served.

``cheaters`` says what is demanded. The buyers repeat requests at other workers and under other keys, leave at any byte,
change tokens, close the holds that pay for them, guess the keys of others, spend what was meant to pay, and sit leases
and holds out; the workers die.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from cheaters import ABANDONED_SECONDS, ALL, OWN_NOTE, Market
from cheaters_attempts import HOLD_SECONDS, LEASE_SECONDS, Attempt, Plan, Request
from cheaters_workers import Ledger
from clock import Clock
from databases import Databases, on_both_databases
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from width import examples

from credit_wallet import WalletError

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 10, 12, tzinfo=UTC)

positions = st.integers(0, 10**6)
payers = st.sampled_from([0, 1, 1, 1, 2, 3])
places = st.integers(0, 1)
walks = st.sampled_from([1, 2, 2, 3, 3, 4, ALL, ALL, ALL])
leaving = st.sampled_from([None, None, None, None, 0, 1, 4, 6])
keys = st.sampled_from([None, "k", "k", "k", "019ad000-0000-7000-8000-000000000000"])
plans = st.builds(
    Plan,
    status=st.sampled_from([200] * 9 + [500]),
    chunks=st.sampled_from([(6,), (3, 3), (3, 3), (1, 1, 1), (1, 1, 1), ()]),
    announced=st.booleans(),
    ends_apart=st.booleans(),
    heeds_leaving=st.booleans(),
    breaks_at=st.sampled_from([None] * 17 + [0, 1, 2]),
    captures_yen=st.sampled_from([None, None, None, 0, 1, 7, 60, 100, 130]),
    captures_at=st.integers(0, 3),
)
spans = st.sampled_from([5, LEASE_SECONDS + 1, LEASE_SECONDS + ABANDONED_SECONDS + 1, HOLD_SECONDS + 1])


class Markets:
    """Ledgers for the examples of one test: one is used until an example finds fault with it."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._ledger: Ledger | None = None

    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(self._databases, Clock(START))
        return self._ledger

    def renew(self) -> None:
        """The next example has a new ledger, so that it does not inherit what this one broke."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


class CheatersMachine(RuleBasedStateMachine):
    """Buyers and workers of one seller."""

    def __init__(self, markets: Markets, where: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.markets, self.where, self.options = markets, where, options
        self.market: Market | None = None
        self.own = 0

    @initialize(held=st.booleans())
    def open(self, held: bool) -> None:
        self.market = Market(self.markets.ledger(), self.where, held=held, **self.options)

    def teardown(self) -> None:
        if self.market is None:
            return
        try:
            self.look_at_the_books()
        finally:
            self.market.close()
            if not self.market.sound:
                self.markets.renew()

    # Requests

    @rule(
        payer=payers,
        key=keys,
        path=st.sampled_from(["/search", "/search", "/small"]),
        body=st.sampled_from([b"", b"", b"", b"other"]),
        proxied=st.booleans(),
        plan=plans,
        at=places,
        leaves_after=leaving,
        slow=st.booleans(),
        walk=walks,
    )
    def ask(
        self,
        payer: int,
        key: str | None,
        path: str,
        body: bytes,
        proxied: bool,
        plan: Plan,
        at: int,
        leaves_after: int | None,
        slow: bool,
        walk: int,
    ) -> None:
        assert self.market is not None
        request = self.market.request(payer, key, path=path, body=body, proxied=proxied)
        attempt = self.market.begin(request, plan, at=at, leaves_after=leaves_after, slow=slow)
        self.market.go_on(attempt, walk)

    def keyed(self) -> list[Request]:
        """The last requests that can be sent again."""
        assert self.market is not None
        return [each.request for each in self.market.attempts if each.request.key is not None][-4:]

    def token(self, request: Request, position: int) -> str:
        """One of the tokens of who pays, the newest most often."""
        assert self.market is not None
        tokens = self.market.buyers[request.payer].tokens
        return tokens[-1] if position % 3 else tokens[position % len(tokens)]

    @precondition(lambda self: self.market and self.keyed())
    @rule(position=positions, plan=plans, at=places, leaves_after=leaving, slow=st.booleans(), walk=walks)
    def ask_again(self, position: int, plan: Plan, at: int, leaves_after: int | None, slow: bool, walk: int) -> None:
        assert self.market is not None
        request = self.keyed()[position % len(self.keyed())]
        attempt = self.market.begin(
            request, plan, at=at, token=self.token(request, position), leaves_after=leaves_after, slow=slow
        )
        self.market.go_on(attempt, walk)

    @precondition(lambda self: self.market and self.keyed())
    @rule(position=positions, plan=plans, turns=st.integers(0, 4), walk=walks)
    def ask_again_at_both_workers_at_once(self, position: int, plan: Plan, turns: int, walk: int) -> None:
        assert self.market is not None
        request = self.keyed()[position % len(self.keyed())]
        both = [self.market.begin(request, plan, at=at, token=self.token(request, position)) for at in (0, 1)]
        for attempt in both:
            attempt.go_on(walk)
            attempt.worker.give_turns(turns)
        for attempt in both:
            self.market.go_on(attempt, 0)

    def unfinished(self, position: int) -> Attempt | None:
        """A request under way at a living worker, if there is one. (Rules ask, not preconditions: it is a matter of
        milliseconds, and Hypothesis wants courses that it can repeat.)
        """
        assert self.market is not None
        found = [each for each in self.market.attempts if not each.done and each.worker not in self.market.killed]
        return found[position % len(found)] if found else None

    @precondition(lambda self: self.market and self.market.attempts)
    @rule(position=positions, walk=walks)
    def go_on(self, position: int, walk: int) -> None:
        assert self.market is not None
        if attempt := self.unfinished(position):
            self.market.go_on(attempt, walk)

    @precondition(lambda self: self.market and self.market.attempts)
    @rule(position=positions)
    def leave(self, position: int) -> None:
        if attempt := self.unfinished(position):
            attempt.leave()

    @precondition(lambda self: self.market and self.market.attempts)
    @rule(position=positions)
    def server_gives_up(self, position: int) -> None:
        if attempt := self.unfinished(position):
            attempt.worker.cancel(attempt)

    @precondition(lambda self: self.market and self.keyed())
    @rule(position=positions, plan=plans, times=st.integers(2, 5))
    def ask_again_and_again(self, position: int, plan: Plan, times: int) -> None:
        assert self.market is not None
        request = self.keyed()[position % len(self.keyed())]
        for number in range(times):
            self.market.go_on(self.market.begin(request, plan, at=number % 2))

    # Time and death

    @rule(
        payer=payers, key=keys, plan=plans, at=places, walk=walks, seconds=spans, jobs=st.booleans(), ends=st.booleans()
    )
    def dawdle(
        self, payer: int, key: str | None, plan: Plan, at: int, walk: int, seconds: int, jobs: bool, ends: bool
    ) -> None:
        """The handler, or the reader, takes longer than a lease or a hold."""
        assert self.market is not None
        attempt = self.market.go_on(self.market.begin(self.market.request(payer, key), plan, at=at), walk)
        self.let_time_pass(seconds, jobs, False)
        if ends:
            self.market.go_on(attempt)

    @rule(seconds=spans, jobs=st.booleans(), stalled=st.booleans())
    def let_time_pass(self, seconds: int, jobs: bool, stalled: bool) -> None:
        assert self.market is not None
        self.market.pass_time(seconds, stalled=stalled)
        if jobs:
            self.market.keep_up()

    @rule(at=places, at_once=st.booleans())
    def kill(self, at: int, at_once: bool) -> None:
        assert self.market is not None
        self.market.kill(at, at_once=at_once)

    @rule(written=st.booleans(), all_ends=st.integers(0, 3))
    def go_home(self, written: bool, all_ends: int) -> None:
        """Let workers write what they have begun to write, or let everything end and look at the books."""
        assert self.market is not None
        if written:
            self.market.hand_on()
        elif not all_ends:
            self.look_at_the_books()

    def look_at_the_books(self) -> None:
        assert self.market is not None
        self.market.end_everything()
        complaints = "\n".join(self.market.audit())
        if complaints:
            print(complaints)  # noqa: T201 - a matter of milliseconds may not show when Hypothesis repeats the course
        assert not complaints, complaints

    # What callers do beside

    @rule(
        position=positions,
        act=st.sampled_from(["capture", "release", "extend"]),
        over_http=st.booleans(),
        asks=st.sampled_from([None, None, 0, 2, 3]),
    )
    def close_every_hold(self, position: int, act: str, over_http: bool, asks: int | None) -> None:
        """Close the holds of a wallet that is buying, as one of the buyers (``asks``) or as who buys."""
        assert self.market is not None
        attempt = self.unfinished(position)
        payer = attempt.request.payer if attempt else position % 4
        self.own += 1
        for hold_id in self.market.hold_ids(payer)[-4:]:
            own_key = f"own {self.own} {hold_id}"
            if over_http:
                body = {"capture": {"amount_yen": 1}, "extend": {"ttl_seconds": 900}}.get(act, {})
                self.market.post(payer if asks is None else asks, f"/credit/{act}", own_key, hold_id=hold_id, **body)
            else:
                with suppress(WalletError):
                    self.market.close_in_library(payer if asks is None else asks, act, hold_id, own_key)

    @rule(
        payer=payers,
        act=st.sampled_from(["hold", "guess", "spend", "spend", "top up", "top up", "rotate"]),
        number=st.integers(0, 5),
    )
    def meddle(self, payer: int, act: str, number: int) -> None:
        assert self.market is not None
        self.own += 1
        own_key = f"own {self.own}"
        match act:
            case "hold":
                own = {"amount_yen": 20, "ttl_seconds": 100, "note": OWN_NOTE}
                self.market.post(payer, "/credit/hold", own_key, **own)
            case "guess":
                self.guess_keys(payer, number)
            case "spend":
                self.spend_elsewhere(payer, own_key, (5, 5, 10, 10, 50, 100)[number])
            case "top up":
                self.market.top_up(payer, 1_000)
            case _:
                with suppress(WalletError):
                    self.market.rotate(payer, 3_600 * (number % 2))

    def guess_keys(self, payer: int, number: int) -> None:
        assert self.market is not None
        hold_id = self.market.next_hold_id() + number % 2
        suffix = ("", "", ":capture", ":refund", ":release", ":2")[number]
        guesses = [f"capture:{hold_id}", f"release:{hold_id}", f"undo:{hold_id}"]
        guesses += [key + suffix for key in self.market.known_keys(payer)[-3:] if key.isprintable()]
        for guess in guesses:
            self.market.post(payer, "/credit/charge", guess[:255], amount_yen=1, note=OWN_NOTE)

    def spend_elsewhere(self, payer: int, own_key: str, share: int) -> None:
        assert self.market is not None
        amount_yen = self.market.books.balance(self.market.buyers[payer].wallet_id) * share // 100
        if amount_yen:
            self.market.post(payer, "/credit/charge", own_key, amount_yen=amount_yen, note=OWN_NOTE)


@pytest.fixture
def markets(databases: Databases) -> Iterator[Markets]:
    opened = Markets(databases)
    yield opened
    opened.renew()


EXAMPLES = {"sqlite": 30, "postgres": 15}
"""In a wide run, unless ``CHEATERS_EXAMPLES`` says how many for each."""


@on_both_databases
@pytest.mark.parametrize("where", ["embedded", "remote"])
def test_whatever_buyers_do_what_was_served_is_paid_once(databases: Databases, markets: Markets, where: str) -> None:
    run_state_machine_as_test(
        partial(CheatersMachine, markets, where, {}),  # type: ignore[arg-type]  # "a class or a function", it says
        settings=settings(
            max_examples=examples(EXAMPLES[databases.kind], "CHEATERS_EXAMPLES"),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
