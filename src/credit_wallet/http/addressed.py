"""A wallet's reference in an address: ``/operator/wallets/ref:cust_1/keys`` is ``/operator/wallets/17/keys``.

It stands for the id in every address under ``/operator/wallets/``, so no route knows of it. The application routes such
a request as one for ``PLACEHOLDER`` and remembers the reference; the wallet is looked up once it is known that the
caller may make the call, so that nobody else learns which references there are.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote_to_bytes

from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.problems import NotFound

PLACEHOLDER = 1
"""The id that a reference is routed as; a handler never sees it."""

_WALLETS = b"/operator/wallets/"
_REFERENCE = b"ref:"
_KEY = "credit_wallet_reference"


def addressed(scope: Any) -> Any:
    """The scope of a request, with an id in place of a reference. Raises ``NotFound`` when that is not UTF-8."""
    raw_path: bytes = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    if not raw_path.startswith(_WALLETS + _REFERENCE):
        return scope
    encoded, slash, rest = raw_path.removeprefix(_WALLETS + _REFERENCE).partition(b"/")
    try:
        reference = unquote_to_bytes(encoded).decode()
        path = b"%s%d%s%s" % (_WALLETS, PLACEHOLDER, slash, rest)
        return {**scope, "path": path.decode("ascii"), "raw_path": path, _KEY: reference}
    except UnicodeError:
        raise NotFound("no such endpoint; send the reference in UTF-8, percent-encoded") from None


async def resolve(scope: Any, wallets: CreditWallet) -> None:
    """Put the id of the wallet into the parameters of the path. Raises ``WalletNotFound`` and ``InvalidRequest``."""
    reference = scope.get(_KEY)
    if reference is not None:
        found = await wallets.reading_lanes.ask(OPERATORS, wallets.find, reference=reference)
        # Not changed in place: the framework keeps the parameters of an address and gives them to its next request.
        scope["path_params"] = {**scope["path_params"], "wallet_id": found.wallet_id}
