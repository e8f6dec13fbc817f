"""Buyers who cheat, for tests: a seller with several workers over one ledger, callers who do what they like, an audit.

Every worker has an event loop of its own, which runs only while the test says so. So a test can stop a request between
any two bytes, let another process work meanwhile, and end a worker as ``kill -9`` does: its loop just never runs again.
A caller is a pair of ASGI callables, so that it leaves at exactly the byte that the test names.

What the audit demands of each request (a key of a caller's is one request, however often it is sent):

- served (a byte of an answer that did not fail, or a whole answer without a body, left the gate): paid once, with what
  the balance lacked as a debt;
- not served: not paid;
- answered at most ``FREE_RETRIES`` times more than it was paid for;
- the ledger verifies.

An answer that broke off by the handler's own fault may be paid or not. So may one that left while the caller was gone
and the server had not said so yet, and one whose worker was killed before it could hand on that it had served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
from cheaters_attempts import FREE_RETRIES, HOLD_SECONDS, LEASE_SECONDS, PATIENCE_SECONDS, Attempt, Buyer, Plan, Request
from cheaters_workers import Ledger, Where, Worker

from credit_wallet import CreditWallet
from credit_wallet.ledger.maintenance import ABANDONED_AFTER

CREDIT_YEN = 5_000
ABANDONED_SECONDS = ABANDONED_AFTER.seconds

WAITING_SECONDS = 0.02
"""How long a request is given that may have to wait for another one with its key."""

OWN_NOTE = "the caller's own"
ALL = 1_000


class Market:
    """Workers of one seller over one ledger, buyers with ``CREDIT_YEN`` each, and all that they have asked for."""

    def __init__(self, ledger: Ledger, where: Where, *, held: bool = False, workers: int = 2, **options: Any) -> None:
        self.ledger, self.books, self.clock = ledger, ledger.books, ledger.clock
        self.where, self.held, self._options = where, held, options
        self.buyers = list(_buyers(self.books))
        self.workers = [self._worker() for _ in range(workers)]
        self.killed: list[Worker] = []
        self.attempts: list[Attempt] = []
        self.sound = True
        """Whether the ledger verified when it was looked at last."""
        self._topped_up = Counter(dict.fromkeys((buyer.wallet_id for buyer in self.buyers), CREDIT_YEN))
        self._numbers = 0

    def _worker(self) -> Worker:
        return Worker(self.ledger, self.where, self.held, self._options)

    def request(self, payer: int, key: str | None = None, **more: Any) -> Request:
        """A new request."""
        self._numbers += 1
        return Request(payer, key, number=0 if key else self._numbers, **more)

    def begin(
        self,
        request: Request,
        plan: Plan = Plan(),  # noqa: B008 - frozen
        *,
        at: int = 0,
        token: str | None = None,
        leaves_after: int | None = None,
        slow: bool = False,
    ) -> Attempt:
        """Send a request to worker ``at``, with the payer's newest token; it waits for its first step."""
        newest = self.buyers[request.payer].tokens[-1]
        attempt = Attempt(self.workers[at], request, plan, token or newest, leaves_after=leaves_after, slow=slow)
        self.attempts.append(attempt)
        attempt.worker.begin(attempt)
        return attempt

    def go_on(self, attempt: Attempt, steps: int = ALL) -> Attempt:
        """Let an attempt take steps until it rests, ends, or waits for another."""
        attempt.go_on(steps)
        attempt.worker.until(lambda: attempt.at_rest, self._patience(attempt))
        return attempt

    def ask(self, request: Request, plan: Plan = Plan(), **how: Any) -> Attempt:  # noqa: B008 - frozen
        """A whole exchange, and what its worker writes down after it."""
        attempt = self.go_on(self.begin(request, plan, **how))
        attempt.worker.hand_on()
        return attempt

    def _patience(self, attempt: Attempt) -> float:
        others = (each for each in self.attempts if each is not attempt and not each.done)
        same = any(each.request.key == attempt.request.key and attempt.request.key for each in others)
        return WAITING_SECONDS if same else PATIENCE_SECONDS

    def kill(self, at: int, *, at_once: bool = False) -> None:
        """End a worker as ``kill -9`` does and start another; ``at_once``: before it hands on what it has served."""
        worker = self.workers[at]
        if not at_once:
            worker.hand_on()
        worker.die()
        for attempt in worker.attempts:
            attempt.overran = attempt.overran or not attempt.done or not attempt.handed_on
            attempt.lost = attempt.lost or not attempt.noted_down
        self.killed.append(worker)
        self.workers[at] = self._worker()

    def pass_time(self, seconds: float, *, stalled: bool = False) -> None:
        """The clock goes on; what runs meanwhile may lose its lease. ``stalled``: no worker does anything meanwhile."""
        if not stalled:
            self.hand_on()
        self.clock.advance(seconds=seconds)
        for attempt in self.attempts:
            under_way = not attempt.done or not attempt.handed_on
            attempt.overran = attempt.overran or (under_way and seconds >= LEASE_SECONDS)

    def hand_on(self) -> None:
        """Let every worker write what it has begun to write."""
        for worker in self.workers:
            worker.hand_on()

    def keep_up(self) -> int:
        """The background jobs."""
        return self.books.maintenance.expire_due() + self.books.maintenance.undo_abandoned()

    def rotate(self, payer: int, overlap_seconds: int = 3_600) -> None:
        """A new token for a buyer; the ones before work for so long. Raises ``WalletError`` when too many still do."""
        buyer = self.buyers[payer]
        if buyer.key_id is None:
            made = self.books.rotate_owner_token(buyer.wallet_id, overlap_seconds=overlap_seconds)
            buyer.tokens.append(made.owner_token)
        else:
            buyer.tokens.append(self.books.keys.rotate(buyer.key_id, overlap_seconds=overlap_seconds).token)

    def top_up(self, payer: int, amount_yen: int) -> None:
        """More credit, from outside."""
        wallet_id = self.buyers[payer].wallet_id
        self._numbers += 1
        self.books.topup(wallet_id, amount_yen, idempotency_key=f"more {self._numbers}")
        self._topped_up[wallet_id] += amount_yen

    def post(self, payer: int, path: str, key: str | None, **body: object) -> httpx.Response:
        """A call of the service with the payer's own token."""
        return self.ledger.api.post(path, self.buyers[payer].tokens[-1], key=key, **body)

    def close_in_library(self, payer: int, act: str, hold_id: int, key: str) -> None:
        """Close a hold as a program would that has only what the payer may do. Raises ``WalletError``."""
        asking: dict[str, Any] = {"key_id": self.buyers[payer].key_id, "actor": "payer"}
        if act == "capture":
            self.books.capture(hold_id, 1, idempotency_key=key, **asking)
        elif act == "release":
            self.books.release(hold_id, idempotency_key=key, **asking)
        else:
            self.books.extend(hold_id, HOLD_SECONDS, **asking)

    def hold_ids(self, payer: int) -> list[int]:
        """Every hold of the payer's wallet."""
        wallet_id = self.buyers[payer].wallet_id
        rows = self.books._ledger.reader.source.rows(
            "SELECT hold_id FROM am_credit_hold WHERE wallet_id = :wallet_id ORDER BY hold_id", {"wallet_id": wallet_id}
        )
        return [hold_id for (hold_id,) in rows]

    def next_hold_id(self) -> int:
        """What the next hold will be called."""
        rows = self.books._ledger.reader.source.rows("SELECT COALESCE(MAX(hold_id), 0) + 1 FROM am_credit_hold", {})
        return int(rows[0][0])

    def known_keys(self, payer: int) -> list[str]:
        """Every idempotency key under which anything happened in the payer's wallet, without its room."""
        wallet_id = self.buyers[payer].wallet_id
        found = []
        for table, column in KEY_TABLES:
            rows = self.books._ledger.reader.source.rows(
                f"SELECT {column} FROM {table} WHERE wallet_id = :wallet_id ORDER BY 1", {"wallet_id": wallet_id}
            )
            found += [str(key).lstrip("\x01\x02\x03").rpartition("\x1f")[2] for (key,) in rows]
        return found

    # The end

    def end_everything(self) -> None:
        """Let every living request end, give background work its time, and let holds and leases run out."""
        for attempt in self.attempts:
            attempt.go_on(ALL)
        for round_number in range(3_000):
            waiting = [worker for worker in self.workers if not all(each.done for each in worker.attempts)]
            if not waiting:
                break
            for worker in waiting:
                worker.until(lambda w=worker: all(each.done for each in w.attempts), WAITING_SECONDS)  # type: ignore[misc]
            if round_number > 2:
                self.pass_time(LEASE_SECONDS + 1)
        assert all(attempt.done or attempt.worker in self.killed for attempt in self.attempts), "a request never ends"
        for worker in self.workers:
            worker.close()
        for _ in range(3):
            self.pass_time(2 * HOLD_SECONDS + ABANDONED_SECONDS)
            while self.keep_up():
                pass
        self.hand_on()

    def audit(self) -> list[str]:
        """What is wrong, once everything has ended."""
        violations = [str(violation) for violation in self.books.verify()]
        self.sound = not violations
        return [
            *violations,
            *(complaint for wallet_id in dict.fromkeys(self._topped_up) for complaint in self._audit(wallet_id)),
        ]

    def _audit(self, wallet_id: int) -> Iterator[str]:
        paid, own_yen = self._paid(wallet_id)
        view = self.books.show(wallet_id)
        lost_yen = self._topped_up[wallet_id] - view.balance_yen - view.held_yen + view.debt_yen
        unnamed_yen = lost_yen - own_yen - sum(paid.values())
        """Debts, and what was charged again under no request's name: it must be for requests that lack it."""
        min_yen = max_yen = 0
        for label, attempts in self._by_label(wallet_id).items():
            fewest, highest = self._bounds(attempts)
            if paid[label] > highest:
                yield f"{label}: paid {paid[label]}, at most {highest} were due; {_story(attempts)}"
            min_yen += max(0, fewest - paid[label])
            max_yen += max(0, highest - paid[label])
            answers = sum(each.served == "yes" and not self._is_given_away(each) for each in attempts)
            if answers > 1 + FREE_RETRIES + sum(each.overran for each in attempts):
                yield f"{label}: answered {answers} times; {_story(attempts)}"
            if fewest > paid[label] + max(0, unnamed_yen):
                yield f"{label}: paid {paid[label]} of {fewest}; {_story(attempts)}"
        if not min_yen <= unnamed_yen <= max_yen:
            yield f"wallet {wallet_id}: {unnamed_yen} were paid without a name, {min_yen} to {max_yen} are missing"

    def _paid(self, wallet_id: int) -> tuple[Counter[str], int]:
        """What each request has paid, by its label, and what the caller has spent directly."""
        entries = self.books.history(wallet_id, limit=1_000)
        assert len(entries) < 1_000
        notes = {each.txn_id: each.note or "" for each in entries if each.txn_type == "charge"}
        paid: Counter[str] = Counter()
        for entry in entries:
            if entry.txn_type == "charge":
                paid[entry.note or ""] -= entry.amount_yen
            elif entry.txn_type == "refund" and entry.related_txn_id is not None:
                paid[notes[entry.related_txn_id]] -= entry.amount_yen
        known = set(self._by_label(wallet_id))
        own_yen = paid[OWN_NOTE]
        return Counter({label: yen for label, yen in paid.items() if label in known}), own_yen

    def _by_label(self, wallet_id: int) -> dict[str, list[Attempt]]:
        found: dict[str, list[Attempt]] = {}
        for attempt in self.attempts:
            if self.buyers[attempt.request.payer].wallet_id == wallet_id:
                found.setdefault(attempt.request.label, []).append(attempt)
        return found

    def _bounds(self, attempts: Sequence[Attempt]) -> tuple[int, int]:
        """What a request must have been paid at least and at most."""
        served = [each for each in attempts if each.served != "no"]
        dues = [each.due_yen(self.held) for each in served]
        surely = any(each.served == "yes" for each in served)
        return (min(fewest for fewest, _ in dues) if surely else 0), max((highest for _, highest in dues), default=0)

    def _is_given_away(self, attempt: Attempt) -> bool:
        """Whether the handler said that the answer came to nothing, so that the next one is a purchase again."""
        return self.held and attempt.captured_yen == 0

    def close(self) -> None:
        """Clear the workers away."""
        for worker in self.workers:
            if isinstance(worker.wallets, CreditWallet):
                self.ledger.give_back(worker.wallets)
                worker.wallets = None  # type: ignore[assignment]
            worker.remove()
        for worker in self.killed:
            worker.remove()


KEY_TABLES = [("am_credit_idempotency", "idempotency_key"), ("am_credit_purchase", "purchase_key")]


def _buyers(books: CreditWallet) -> Iterator[Buyer]:
    """Two wallets: the first with its owner and two agents, the second an accomplice's."""
    for agents in (2, 0):
        wallet = books.create()
        books.topup(wallet.wallet_id, CREDIT_YEN, idempotency_key="start")
        yield Buyer(wallet.wallet_id, None, [wallet.owner_token])
        for _ in range(agents):
            made = books.keys.create(wallet.wallet_id)
            yield Buyer(wallet.wallet_id, made.key_id, [made.token])


def _story(attempts: Sequence[Attempt]) -> str:
    told = [
        f"{each.status} {each.served} got {each.got}{' whole' if each.whole else ''}"
        f"{'' if each.captured_yen is None else f' captured {each.captured_yen}'}{'' if each.done else ' killed'}"
        for each in attempts
    ]
    return "; ".join(told)
