"""Guessing tokens: how many bad ones an address may send, and what it gets afterwards.

Once an address has sent too many, nothing of it is looked at any more for the rest of the minute, so that the right
guess among wrong ones is not let through either. Only a token that was good from this very address a while ago passes:
neighbours behind the same address go on working. Nothing here refuses one address for what another does: that would let
anybody lock everybody out. What guesses from many addresses can find is bounded by the tokens' 256 random bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from time import monotonic

from cachetools import FIFOCache

from credit_wallet.domain.retry_after import whole_seconds
from credit_wallet.telemetry import Logger
from credit_wallet.wire.problems import TooManyFailures

FAILURES_ALLOWED = 20
"""Bad tokens that one address may send within ``FAILURES_SECONDS``."""

FAILURES_SECONDS = 60.0
WATCHED_ADDRESSES = 10_000

KNOWN_SECONDS = 900.0
"""How long a token that was good from an address passes there whatever else the address sends."""

KNOWN_TOKENS = 20_000

LINES_A_MINUTE = 60
"""Lines about failures that the log gets at most, of all addresses together."""

_RENEW_SECONDS = 30.0
_V6_NETWORK_BITS = 64

_log = Logger("credit_wallet.http")


class _Window:
    """The failures of an address since the first one."""

    __slots__ = ("failures", "kinds", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.failures = 0
        self.kinds: Counter[str] = Counter()


class FailureLimit:
    """Counts bad tokens by address, in windows that start with the first one. For one event loop."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._windows: FIFOCache[str, _Window] = FIFOCache(WATCHED_ADDRESSES)
        # Not a TTLCache, which would add 7 µs to every call of the service; this adds 0.2 µs to a dict.
        self._known: FIFOCache[tuple[str, bytes], float] = FIFOCache(KNOWN_TOKENS)
        self._lines_since, self._lines = 0.0, 0

    def admit(self, address: str, digest: bytes) -> None:
        """Before a token is looked at: raises ``TooManyFailures`` unless its address, or it there, may be heard.

        ``digest`` is the token's SHA-256, empty when there is none.
        """
        if self._windows and (window := self._full(address_group(address))) and not self._is_known(address, digest):
            self._note(address, window, "refused")
            raise self._refusal(window)

    def succeeded(self, address: str, digest: bytes) -> None:
        """Record a good token. Raises ``TooManyFailures`` when its address was shut while it was looked up."""
        self.admit(address, digest)
        self.remember(address, digest)

    def remember(self, address: str, digest: bytes) -> None:
        """Let a token that was good go on passing, whatever else its address sends."""
        now, name = self._clock(), (address_group(address), digest)
        if self._known.get(name, -_RENEW_SECONDS) + _RENEW_SECONDS <= now:
            self._known[name] = now

    def failed(self, address: str, digest: bytes, kind: str) -> None:
        """Record a bad token; ``kind`` says what was wrong. Raises ``TooManyFailures`` when one too many."""
        now, group = self._clock(), address_group(address)
        self._known.pop((group, digest), None)
        window = self._windows.get(group)
        if window is None or now - window.since >= FAILURES_SECONDS:
            window = _Window(now)
        self._windows[group] = window  # the one that failed last stays longest
        is_full = window.failures >= FAILURES_ALLOWED
        self._note(address, window, kind)
        if is_full:
            raise self._refusal(window)

    def _full(self, group: str) -> _Window | None:
        window = self._windows.get(group)
        if window is None or window.failures < FAILURES_ALLOWED or self._clock() - window.since >= FAILURES_SECONDS:
            return None
        return window

    def _is_known(self, address: str, digest: bytes) -> bool:
        good_at = self._known.get((address_group(address), digest))
        return good_at is not None and self._clock() - good_at < KNOWN_SECONDS

    def _refusal(self, window: _Window) -> TooManyFailures:
        wait = whole_seconds(window.since + FAILURES_SECONDS - self._clock())
        return TooManyFailures(
            f"too many invalid tokens came from this address; wait {wait} seconds and check the token",
            retry_after_seconds=wait,
        )

    def _note(self, address: str, window: _Window, kind: str) -> None:
        """Count, and say so in the log with the first failure, the last that is allowed, and every tenfold of it."""
        window.failures += 1
        window.kinds[kind] += 1
        if not _is_told(window.failures):
            return
        now = self._clock()
        if now - self._lines_since >= FAILURES_SECONDS:
            if self._lines > LINES_A_MINUTE:
                _log.warning("bad_tokens_untold", lines=self._lines - LINES_A_MINUTE)
            self._lines_since, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES_A_MINUTE:
            _log.warning("bad_tokens", address=address, failures=window.failures, **window.kinds)


@lru_cache(maxsize=WATCHED_ADDRESSES)
def address_group(address: str) -> str:
    """What is counted as one caller: an IPv4 address, or the /64 network of an IPv6 one, which one machine can fill."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        network = int(parsed) >> _V6_NETWORK_BITS << _V6_NETWORK_BITS
        return f"{IPv6Address(network)}/{_V6_NETWORK_BITS}"
    return str(parsed)


def _is_told(failures: int) -> bool:
    while failures > FAILURES_ALLOWED and failures % 10 == 0:
        failures //= 10
    return failures in (1, FAILURES_ALLOWED)
