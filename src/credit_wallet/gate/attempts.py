"""What this process knows of callers' idempotency keys: which attempt is under way, and how often it was free."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from hashlib import sha256

_IN_ORDER = re.compile(rb"[0-9a-zA-Z-]{13}")


def request_key(given: bytes, *parts: bytes) -> str:
    """The idempotency key of a request: equal parts give equal keys, and only they do.

    The parts are the key that the caller gave, who pays, and everything that makes the request what it is; each is told
    with its length, so that none can be moved into its neighbour. The beginning of a key like a UUIDv7 is kept, so that
    keys which grow with time still land on the same pages of the database.
    """
    digest = sha256()
    for part in (given, *parts):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    begins = _IN_ORDER.match(given)
    return f"{begins[0].decode() if begins else 'gate'}:{digest.hexdigest()}"


class Attempts:
    """One key. ``number`` counts the charges under it: one that was given back is followed by another."""

    __slots__ = ("delivered", "free", "key", "lock", "number", "users")

    def __init__(self, key: str) -> None:
        self.key = key
        self.number = 1
        self.free = 0
        """Answers since the charge that nothing was paid for."""
        self.delivered = False
        """Whether an answer to this charge was delivered by this process."""
        self.lock = asyncio.Lock()
        self.users = 0

    @property
    def wallet_key(self) -> str:
        """The idempotency key of the attempt that is under way."""
        return self.key if self.number == 1 else f"{self.key}:{self.number}"

    def next(self) -> None:
        """The charge was given back; the next one is another."""
        self.number += 1
        self.free, self.delivered = 0, False


class KnownKeys:
    """Up to ``limit`` keys, the ones used last. One that is forgotten is counted from the beginning."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[str, Attempts] = OrderedDict()

    async def take(self, key: str) -> Attempts:
        """The attempts under ``key``, which nobody else in this process works on until they are given back."""
        attempts = self._known.get(key) or Attempts(key)
        self._known[key] = attempts
        self._known.move_to_end(key)
        attempts.users += 1
        self._forget_one()
        try:
            await attempts.lock.acquire()
        except BaseException:
            attempts.users -= 1
            raise
        return attempts

    def give_back(self, attempts: Attempts) -> None:
        """Let the next request with the key begin."""
        attempts.users -= 1
        attempts.lock.release()

    def _forget_one(self) -> None:
        if len(self._known) > self._limit:
            oldest = next((key for key, attempts in self._known.items() if not attempts.users), None)
            if oldest is not None:
                del self._known[oldest]
