"""The operator's sellers."""

from __future__ import annotations

from collections.abc import Sequence

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.views import CreatedSeller, SellerView
from credit_wallet.wire.bodies import CreateSellerBody, RotateBody


class Sellers:
    """Those who sell to the wallets. All methods are for the operator."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(self, *, label: str | None = None) -> CreatedSeller:
        """A new seller. Its ``token`` is shown only now."""
        return self._send(calls.create("/operator/sellers", read_as(CreatedSeller), CreateSellerBody(label)))

    def list(self, *, after: int = 0, limit: int = 100) -> Sequence[SellerView]:
        """Sellers with an id above ``after``, by id; ``limit`` is 1 to 1,000."""
        return self._send(calls.get("/operator/sellers", read_as(list[SellerView]), after=after, limit=limit))

    def rotate(self, seller_id: int, *, overlap_seconds: int = 3600) -> CreatedSeller:
        """A new token for a seller; earlier ones work for another ``overlap_seconds``."""
        path = f"/operator/sellers/{seller_id:d}/rotate"
        return self._send(calls.create(path, read_as(CreatedSeller), RotateBody(overlap_seconds)))

    def revoke(self, seller_id: int) -> SellerView:
        """Revoke a seller for good."""
        return self._send(Call("DELETE", f"/operator/sellers/{seller_id:d}", read_as(SellerView)))
