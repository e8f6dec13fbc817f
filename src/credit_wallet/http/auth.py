"""Who is calling: an operator, a seller, a wallet's owner, or an agent through a key of the wallet.

What a token opens is remembered for a second, by the token's hash. What ends in this process is forgotten at once, what
ends in another one within the second. A revoked agent key never spends all the same: whether a key is good is decided
again in the transaction that would move the money.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from math import ceil
from time import monotonic

from msgspec import Struct, structs

from credit_wallet.actors import OPERATOR, PAYER, Actor, seller
from credit_wallet.errors import Forbidden, Unauthorized
from credit_wallet.http.problems import AmbiguousRequest, TooManyFailures
from credit_wallet.outcomes import Access, SellerAccess
from credit_wallet.reading_lanes import AUTHENTICATION
from credit_wallet.wallet import CreditWallet

REMEMBERED_SECONDS = 1.0
REMEMBERED_TOKENS = 10_000

FAILURES_ALLOWED = 20
"""Bad tokens that one address may send within ``FAILURES_SECONDS``."""

FAILURES_SECONDS = 60.0
WATCHED_ADDRESSES = 10_000


class Caller(Struct, frozen=True):
    """Who a request comes from: a wallet's owner or agent key (``access``), a seller, or the operator."""

    access: Access | None = None
    seller: SellerAccess | None = None
    is_operator: bool = False
    payer: Access | None = None
    """On whose behalf a seller or the operator asks: what the token in ``X-Payer-Token`` opens."""

    @property
    def actor(self) -> Actor:
        """In whose name the ledger moves what the caller asks for."""
        if self.seller is not None:
            return seller(self.seller.seller_id)
        return OPERATOR if self.is_operator else PAYER

    @property
    def key_id(self) -> int | None:
        """The agent key that asks, None for anybody else."""
        return None if self.access is None else self.access.key_id


class FailureLimit:
    """Counts bad tokens by address, in windows that start with the first one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, address: str) -> None:
        """Take note of a bad token. Raises ``TooManyFailures`` when it is one too many."""
        now = self._clock()
        since, failures = self._failures.pop(address, (now, 0))
        if now - since >= FAILURES_SECONDS:
            since, failures = now, 0
        self._failures[address] = (since, failures + 1)
        if len(self._failures) > WATCHED_ADDRESSES:
            self._failures.popitem(last=False)
        if failures >= FAILURES_ALLOWED:
            wait = ceil(since + FAILURES_SECONDS - now)
            raise TooManyFailures(
                f"too many bad tokens came from this address; wait {wait} seconds and check the token",
                retry_after_seconds=wait,
            )


class Authenticator:
    """Turns a request's credentials into a caller. Without an ``operator_key`` nobody is the operator."""

    def __init__(self, wallets: CreditWallet, operator_key: str | None) -> None:
        self._wallets = wallets
        self._operator_digest = b"" if operator_key is None else sha256(operator_key.encode()).digest()
        self._remembered: OrderedDict[bytes, tuple[float, Access | SellerAccess, Caller]] = OrderedDict()
        self._secrets_known = wallets.secrets_changed
        self._limit = FailureLimit()

    async def caller(
        self, authorization: str | None, api_key: str | None, address: str, payer_token: str | None = None
    ) -> Caller:
        """Whoever ``Authorization: Bearer`` or ``X-API-Key`` names.

        ``address`` is the caller's, for counting failures. ``payer_token`` says on whose behalf a seller asks; a bad
        one is its buyer's failure and is not counted. Raises ``Unauthorized``, ``AmbiguousRequest``,
        ``TooManyFailures``, and ``Forbidden`` when anybody but a seller sends a ``payer_token``.
        """
        try:
            caller = await self._caller(token_of(authorization, api_key))
        except Unauthorized:
            self._limit.count(address)
            raise
        return caller if payer_token is None else await self._on_behalf(caller, payer_token)

    async def _on_behalf(self, caller: Caller, payer_token: str) -> Caller:
        if caller.access is not None:
            raise Forbidden("X-Payer-Token is for sellers: pay with your own token alone", field="X-Payer-Token")
        try:
            payer = await self._caller(as_sent(payer_token))
        except Unauthorized as refusal:
            raise Unauthorized(str(refusal), field="X-Payer-Token") from refusal
        if payer.access is None:
            raise Unauthorized(
                "X-Payer-Token names no wallet; send an owner token or an agent key", field="X-Payer-Token"
            )
        return structs.replace(caller, payer=payer.access)

    async def _caller(self, token: str) -> Caller:
        digest = sha256(token.encode("utf-8", "surrogateescape")).digest()
        if secrets.compare_digest(digest, self._operator_digest):
            return _OPERATOR
        if self._secrets_known != self._wallets.secrets_changed:
            self._secrets_known = self._wallets.secrets_changed
            self._remembered.clear()
        now = monotonic()
        remembered = self._remembered.get(digest)
        if remembered is not None and remembered[0] > now and not self._wallets.has_ended(remembered[1]):
            return remembered[2]
        known = self._secrets_known
        access = await self._wallets.ask(AUTHENTICATION, self._wallets.identify, token)
        caller = Caller(access) if isinstance(access, Access) else Caller(seller=access)
        if known == self._wallets.secrets_changed:  # else it may have ended while it was looked up
            self._remembered[digest] = (now + REMEMBERED_SECONDS, access, caller)
        if len(self._remembered) > REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return caller


_OPERATOR = Caller(is_operator=True)


def require_owner(caller: Caller) -> int:
    """The wallet of its owner. Raises ``Forbidden`` for everybody else."""
    if caller.access is not None and caller.access.key_id is None:
        return caller.access.wallet_id
    raise Forbidden("only the wallet's owner token may do this")


def require_wallet(caller: Caller) -> int:
    """The wallet that an owner token or an agent key opens. Raises ``Forbidden`` for operator and sellers."""
    return require_access(caller).wallet_id


def require_access(caller: Caller) -> Access:
    """What an owner token or an agent key opens. Raises ``Forbidden`` for operator and sellers."""
    if caller.access is not None:
        return caller.access
    raise Forbidden(
        "the operator key has no wallet of its own; use an owner token, or the calls under /operator"
        if caller.is_operator
        else "a seller's token has no wallet and only sells; use an owner token"
    )


def require_operator(caller: Caller) -> None:
    """Raises ``Forbidden`` for anybody but the operator."""
    if not caller.is_operator:
        raise Forbidden("only the operator key may do this")


def require_seller(caller: Caller) -> None:
    """Raises ``Forbidden`` for anybody but sellers and the operator."""
    if caller.seller is None and not caller.is_operator:
        raise Forbidden("only a seller's token or the operator key may do this")


def token_of(authorization: str | None, api_key: str | None) -> str:
    """The token in ``Authorization: Bearer`` or in ``X-API-Key``.

    An ``Authorization`` of another scheme is somebody else's, such as a proxy's in front. Raises ``Unauthorized`` when
    there is no token, ``AmbiguousRequest`` when the headers have two different ones.
    """
    token = ""
    if authorization is not None:
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "bearer":
            token = rest.strip()
    if api_key and (given := api_key.strip()):
        if token and token != given:
            raise AmbiguousRequest("'Authorization: Bearer' and 'X-API-Key' have different tokens; send one of them")
        token = given
    if token:
        return as_sent(token)
    raise Unauthorized("send the wallet's token as 'Authorization: Bearer <token>' or 'X-API-Key: <token>'")


def as_sent(token: str) -> str:
    """A token from a header, which was read as Latin-1, as the text that was sent: the hash is one of its UTF-8."""
    if token.isascii():
        return token
    try:
        return token.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it came from no header
        return token
