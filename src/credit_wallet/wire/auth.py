"""Who is calling, and what the caller may do: an operator, a seller, a wallet's owner, or an agent through a key.

What a token opens is cached by the token's hash: for a second, and for a minute as long as a batch of the last second
has seen that no other process had written to the database. A token that ends in this process leaves the cache at once,
one that ends in another process is not believed for longer than a second. A revoked agent key cannot spend even so:
whether a key is valid is decided again in the transaction that moves the money.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from hashlib import sha256
from time import monotonic
from typing import NamedTuple

from cachetools import FIFOCache
from msgspec import Struct, structs

from credit_wallet.domain.actors import OPERATOR, PAYER, Actor, seller
from credit_wallet.domain.acts import BY_LINK
from credit_wallet.domain.operators import ROOT, Opened, OperatorAccess
from credit_wallet.domain.permissions import (
    OF_A_WALLET,
    PERMISSIONS,
    Kind,
    Permission,
    Scope,
    kind_of_operator,
    kinds_of_key,
    permissions_of,
)
from credit_wallet.domain.tokens import is_mistyped
from credit_wallet.domain.views import Access, SellerAccess
from credit_wallet.errors import Forbidden, Unauthorized
from credit_wallet.ledger.reading_lanes import AUTHENTICATION, OPERATORS, OWNERS, Lane
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.failure_limit import FailureLimit
from credit_wallet.wire.operator_keys import OperatorKey
from credit_wallet.wire.problems import AmbiguousRequest

BELIEVED_SECONDS = 1.0
"""How long a token is believed that may have ended in another process."""

REMEMBERED_SECONDS = 60.0
"""How long a token is believed while it is seen that nobody else writes."""

REMEMBERED_TOKENS = 10_000

PRESENT = "credit_wallet.caller"
"""In the scope of a request that the pages make in this process: its caller, whom a session has named already."""


class Caller(Struct, frozen=True):
    """Who a request comes from: a wallet's owner or agent key (``access``), a seller, or an operator.

    An operator may stand in for the owner of a wallet and has ``access`` then.
    """

    access: Access | None = None
    seller: SellerAccess | None = None
    operator: OperatorAccess | None = None
    payer: Access | None = None
    """On whose behalf a seller or an operator asks: what the token in ``X-Payer-Token`` opens."""

    permissions: frozenset[Permission] = frozenset()
    token_sha256: str | None = None
    """Of the token that the caller has sent, or has signed in with; None in a session that a link has opened."""

    linked_by: str | None = None
    """Who made the link that has opened the caller's session."""

    @classmethod
    def of(cls, opened: Opened, token_sha256: str | None = None) -> Caller:
        """Whoever has the token that opens this, with the permissions of that kind of caller."""
        if isinstance(opened, OperatorAccess):
            kinds: tuple[Kind, ...] = (kind_of_operator(opened.role),)
            return cls(operator=opened, permissions=permissions_of(kinds), token_sha256=token_sha256)
        if isinstance(opened, SellerAccess):
            return cls(seller=opened, permissions=permissions_of(("seller",)), token_sha256=token_sha256)
        kinds = ("owner",) if opened.key_id is None else kinds_of_key(opened.scopes)
        return cls(opened, permissions=permissions_of(kinds), token_sha256=token_sha256)

    @classmethod
    def by_link(cls, wallet_id: int, scopes: Collection[Scope], linked_by: str) -> Caller:
        """Whoever an operator's link has let in: it sees the whole wallet, and does what a key with ``scopes`` may."""
        return cls(Access(wallet_id, None), permissions=permissions_of(kinds_of_key(scopes)), linked_by=linked_by)

    def require(self, needed: Permission) -> None:
        """Raises ``Forbidden`` unless the caller may do what needs ``needed``."""
        if needed not in self.permissions:
            if needed in OF_A_WALLET:
                own_access(self)
            raise Forbidden(f"the token is valid but not allowed to do this; use {PERMISSIONS[needed].use}")

    @property
    def actor(self) -> Actor:
        """In whose name the ledger moves what the caller asks for."""
        if self.seller is not None:
            return seller(self.seller.seller_id)
        return PAYER if self.operator is None else OPERATOR

    @property
    def key_id(self) -> int | None:
        """The agent key that asks, None for anybody else."""
        return None if self.access is None else self.access.key_id

    @property
    def share(self) -> int:
        """Whose share of a lane the caller's requests count against: its wallet's, 0 for a caller without one.

        An operator's looks at a wallet are counted apart, lest the wallet's owner keep the operator out.
        """
        if self.access is None:
            return 0
        return self.access.wallet_id if self.operator is None else -self.access.wallet_id

    def lane(self, usual: Lane) -> Lane:
        """The lane on which the caller asks what others ask on ``usual``: operators have one apart from all owners."""
        return OPERATORS if self.operator is not None and usual is OWNERS else usual

    def standing_in(self, wallet_id: int) -> Caller:
        """An operator who sees and changes what the owner of a wallet does. The operator stays who acts."""
        return structs.replace(self, access=Access(wallet_id, None))

    @property
    def name(self) -> str:
        """Who it is, for the log of acts: ``owner``, ``agent:7``, ``seller:1``, ``operator:root``.

        In a session that a link has opened also who made the link: ``link:operator:3``.
        """
        if self.operator is not None:
            return f"operator:{self.operator.operator_id or self.operator.name}"
        if self.access is None:
            return self.actor
        if self.linked_by is not None:
            return f"{BY_LINK}{self.linked_by}"
        return "owner" if self.access.key_id is None else f"agent:{self.access.key_id}"


class _Remembered(NamedTuple):
    """What a token opened at ``since``, when other processes had written ``writes_by_others`` times."""

    since: float
    writes_by_others: int | None
    access: Opened
    caller: Caller


class Authenticator:
    """Turns a request's credentials into a caller. Without ``operator_keys`` nobody is the operator.

    ``metrics_key`` is a token that opens no call: it sees the service's figures of money.
    """

    def __init__(
        self, wallets: CreditWallet, operator_keys: Iterable[OperatorKey] = (), metrics_key: OperatorKey | None = None
    ) -> None:
        self._wallets = wallets
        self._roots = [
            (key.digest, Caller.of(OperatorAccess(ROOT, key.name, "admin"), key.digest.hex())) for key in operator_keys
        ]
        self._metrics_digest = b"" if metrics_key is None else metrics_key.digest
        # Not a TTLCache: a look-up takes it 1.2 to 2.4 µs, more than 2 % of a charge over HTTP; this takes 0.06 µs more
        # than a dict.
        self._remembered: FIFOCache[bytes, _Remembered] = FIFOCache(REMEMBERED_TOKENS)
        self._secrets_known = wallets.tokens.changes
        self._limit = FailureLimit()

    async def caller(
        self, authorization: str | None, api_key: str | None, address: str, payer_token: str | None = None
    ) -> Caller:
        """Whoever ``Authorization: Bearer`` or ``X-API-Key`` names.

        ``address`` is the caller's, for counting failures. ``payer_token`` says on whose behalf a seller asks; a bad
        one is its buyer's failure and is not counted. Raises ``Unauthorized``, ``AmbiguousRequest``,
        ``TooManyFailures``, and ``Forbidden`` when anybody but a seller sends a ``payer_token``.
        """
        token, digest = self._admitted(authorization, api_key, address)
        caller = await self._holder(token, digest, address)
        return caller if payer_token is None else await self._on_behalf(caller, payer_token)

    async def signing_in(self, token: str, address: str) -> Caller:
        """Whoever has a token that somebody has typed in. Raises ``Unauthorized`` and ``TooManyFailures``."""
        token = token.strip()
        digest = token_digest(token)
        self._limit.admit(address, digest)
        return await self._holder(token, digest, address)

    async def still_opened(self, token_sha256: str) -> Caller | None:
        """Whoever has the token with this SHA-256, 64 hex digits; None when it opens nothing any more."""
        digest = bytes.fromhex(token_sha256)
        try:
            return self._known(digest) or await self._looked_up(
                self._wallets.tokens.identify_sha256, token_sha256, digest
            )
        except Unauthorized:
            return None

    async def sees_money(self, authorization: str | None, api_key: str | None, address: str, needs: Permission) -> bool:
        """Whether a token is the metrics', or has a permission. Raises what ``caller`` raises, for no token as well."""
        _, digest = self._admitted(authorization, api_key, address)
        if secrets.compare_digest(digest, self._metrics_digest):
            self._limit.succeeded(address, digest)
            return True
        return needs in (await self.caller(authorization, api_key, address)).permissions

    def _admitted(self, authorization: str | None, api_key: str | None, address: str) -> tuple[str, bytes]:
        """The token, and its digest, of an address that may be heard."""
        try:
            token = token_of(authorization, api_key)
        except Unauthorized:
            self._limit.admit(address, b"")
            self._limit.failed(address, b"", "missing")
            raise
        digest = token_digest(token)
        self._limit.admit(address, digest)
        return token, digest

    async def _holder(self, token: str, digest: bytes, address: str) -> Caller:
        """Whoever has a token of an address that may be heard; a bad one counts."""
        caller = self._known(digest)
        if caller is not None:
            self._limit.remember(address, digest)
            return caller
        try:
            caller = await self._looked_up(self._wallets.tokens.identify, token, digest)
        except Unauthorized:
            self._limit.failed(address, digest, "mistyped" if is_mistyped(token) else "unknown")
            raise
        self._limit.succeeded(address, digest)
        return caller

    async def _on_behalf(self, caller: Caller, payer_token: str) -> Caller:
        if caller.access is not None:
            raise Forbidden(
                "X-Payer-Token is for sellers and operators; send only the token of the wallet that pays",
                field="X-Payer-Token",
            )
        token = as_sent(payer_token)
        try:
            digest = token_digest(token)
            payer = self._known(digest) or await self._looked_up(self._wallets.tokens.identify, token, digest)
        except Unauthorized as refusal:
            raise Unauthorized(str(refusal), field="X-Payer-Token") from refusal
        if payer.access is None:
            raise Unauthorized(
                "X-Payer-Token does not belong to a wallet; send an owner token or an agent key", field="X-Payer-Token"
            )
        return structs.replace(caller, payer=payer.access)

    def _known(self, digest: bytes) -> Caller | None:
        """Whom a token names, without a look at the database; None when that has to be looked up."""
        root = self._root(digest)
        if root is not None:
            return root
        if self._secrets_known != self._wallets.tokens.changes:
            self._secrets_known = self._wallets.tokens.changes
            self._remembered.clear()
        remembered = self._remembered.get(digest)
        return remembered.caller if remembered is not None and self._is_believed(remembered) else None

    async def _looked_up(self, identify: Callable[[str], Opened], token: str, digest: bytes) -> Caller:
        known, (_, writes_by_others), now = self._secrets_known, self._wallets.tokens.last_look(), monotonic()
        access = await self._wallets.reading_lanes.ask(AUTHENTICATION, identify, token)
        caller = Caller.of(access, digest.hex())
        if known == self._wallets.tokens.changes:  # else it may have ended while it was looked up
            self._remembered[digest] = _Remembered(now, writes_by_others, access, caller)
        return caller

    def _is_believed(self, remembered: _Remembered) -> bool:
        now = monotonic()
        if now >= remembered.since + BELIEVED_SECONDS:
            looked_at, writes_by_others = self._wallets.tokens.last_look()
            if (
                writes_by_others is None
                or writes_by_others != remembered.writes_by_others
                or now >= min(looked_at + BELIEVED_SECONDS, remembered.since + REMEMBERED_SECONDS)
            ):
                return False
        return not self._wallets.tokens.has_ended(remembered.access)

    def _root(self, digest: bytes) -> Caller | None:
        """Compares with every key of the environment, in constant time."""
        found = None
        for known, root in self._roots:
            if secrets.compare_digest(digest, known):
                found = root
        return found


def token_digest(token: str) -> bytes:
    """By which a token is remembered, and compared with those that open everything."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def own_wallet(caller: Caller) -> int:
    """The wallet that the caller's token opens. Raises ``Forbidden`` for operators and sellers."""
    return own_access(caller).wallet_id


def own_access(caller: Caller) -> Access:
    """What an owner token or an agent key opens. Raises ``Forbidden`` for operators and sellers."""
    if caller.access is not None:
        return caller.access
    raise Forbidden(
        "an operator key does not belong to a wallet; use an owner token, or the calls under /operator"
        if caller.seller is None
        else "a seller's token does not belong to a wallet; use an owner token"
    )


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
    raise Unauthorized("no token was sent; send it as 'Authorization: Bearer <token>' or 'X-API-Key: <token>'")


def as_sent(token: str) -> str:
    """A token from a header, which was read as Latin-1, as the text that was sent: the hash is one of its UTF-8."""
    if token.isascii():
        return token
    try:
        return token.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it came from no header
        return token
