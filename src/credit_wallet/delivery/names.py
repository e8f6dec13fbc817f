"""Looking up the addresses of receivers' names: on threads of their own, with a deadline, remembered for a while.

``getaddrinfo`` cannot be cancelled, so a silent name server keeps a thread. A name that came too late
once is looked up by a crew for such names from then on: however many there are, the others find a thread. A domain has
one name server and any number of names, so only a few of them are looked up at once by the other crew.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import monotonic
from typing import TypeAlias

from cachetools import FIFOCache, TLRUCache

from credit_wallet.delivery.outbound import NotDelivered
from credit_wallet.runtime.deadlines import LOOKUP_SECONDS, Crew, CrewBusy

Addresses: TypeAlias = tuple[IPv4Address | IPv6Address, ...]

KNOWN_SECONDS = 60.0
"""How long addresses are remembered …"""

UNKNOWN_SECONDS = 30.0
"""… and that a name has none, or that its name server said nothing."""

MAX_NAMES = 10_000
"""That are remembered."""

MAX_OF_A_DOMAIN = 4
"""Names of one domain that are looked up at once; more wait for the crew for late names."""

THREADS, THREADS_FOR_LATE_NAMES, MAX_WAITING = 32, 4, 1_000


def look_up(host: str) -> Addresses:
    """The addresses of a name; none when it is not known."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(ip_address(address[0]) for *_, address in found)


def domain_of(host: str) -> str:
    """The part of a name that somebody has registered: ``example.com``, ``example.co.jp``."""
    labels = host.rstrip(".").lower().split(".")
    is_of_country = len(labels[-1]) == 2 and len(labels) > 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if is_of_country else -2 :])


class Names:
    """The names that one event loop has looked up."""

    def __init__(self, find: Callable[[str], Addresses] = look_up) -> None:
        self._find = find
        self._crew = Crew("credit-wallet-names", THREADS, MAX_WAITING)
        self._crew_for_late = Crew("credit-wallet-late-names", THREADS_FOR_LATE_NAMES, MAX_WAITING)
        self._known: TLRUCache[str, Addresses] = TLRUCache(MAX_NAMES, _known_until, timer=monotonic)
        self._late: FIFOCache[str, bool] = FIFOCache(MAX_NAMES)
        self._under_way: dict[str, Future[Addresses]] = {}
        self._of_domains: Counter[str] = Counter()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Wait for nobody."""
        self._crew.close()
        self._crew_for_late.close()

    async def addresses(self, host: str) -> Addresses:
        """The addresses of a host, one or more. Raises ``NotDelivered`` when there are none, or not in time."""
        try:
            return (ip_address(host),)
        except ValueError:
            pass
        known = self._known.get(host)
        if known is None:
            known = await self._looked_up(host)
        if not known:
            raise NotDelivered("the host's name is not known")
        return known

    async def _looked_up(self, host: str) -> Addresses:
        """Wait for a look-up; one name is looked up once, however many wait for it."""
        waited_for = asyncio.wrap_future(self._submitted(host))
        await asyncio.wait((waited_for,), timeout=LOOKUP_SECONDS)
        if not waited_for.done():
            self._late[host] = True
            self._known[host] = ()
            return ()
        self._late.pop(host, None)
        found = self._known[host] = waited_for.result()
        return found

    def _submitted(self, host: str) -> Future[Addresses]:
        future = self._under_way.get(host)
        if future is None:
            domain = domain_of(host)
            is_one_too_many = self._of_domains[domain] >= MAX_OF_A_DOMAIN
            crew = self._crew_for_late if host in self._late or is_one_too_many else self._crew
            try:
                future = self._under_way[host] = crew.submit(self._find, host)
            except CrewBusy as busy:
                raise NotDelivered("too many names are being looked up") from busy
            with self._lock:
                self._of_domains[domain] += 1
            future.add_done_callback(lambda _: self._found(host, domain))
        return future

    def _found(self, host: str, domain: str) -> None:
        """A look-up has ended, on its thread; perhaps nobody waits for it any more."""
        with self._lock:
            self._under_way.pop(host, None)
            self._of_domains[domain] -= 1
            if not self._of_domains[domain]:
                del self._of_domains[domain]


def _known_until(_: str, addresses: Addresses, now: float) -> float:
    """When a look-up of a name is too old."""
    return now + (KNOWN_SECONDS if addresses else UNKNOWN_SECONDS)
