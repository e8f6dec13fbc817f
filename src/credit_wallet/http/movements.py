"""The calls that move money, as functions of a caller, a parsed body and an idempotency key.

The fast lane and the documented routes both call these, so that they cannot differ.
"""

from __future__ import annotations

from msgspec import structs

from credit_wallet.commands import Charge
from credit_wallet.errors import HoldNotFound, InvalidRequest, Unauthorized, WalletError
from credit_wallet.http.auth import Caller, require_operator
from credit_wallet.http.bodies import (
    BatchBody,
    BatchReply,
    CaptureBody,
    ChargeBody,
    HoldBody,
    MovementReply,
    OperatorTopupBody,
    RefundBody,
    ReleaseBody,
)
from credit_wallet.http.problems import Forbidden, IdempotencyKeyRequired, problem_of
from credit_wallet.outcomes import Outcome
from credit_wallet.wallet import CreditWallet


async def charge(wallets: CreditWallet, caller: Caller, body: ChargeBody, key: str | None) -> Outcome:
    """Charge the caller's wallet, or for the operator the one that the body names."""
    wallet_id, key_id = _payer(caller, body.wallet_id)
    return await wallets.acharge(
        wallet_id, body.amount_yen, idempotency_key=_required(key), note=body.note, key_id=key_id
    )


async def hold(wallets: CreditWallet, caller: Caller, body: HoldBody, key: str | None) -> Outcome:
    """Set yen aside in the caller's wallet, or for the operator in the one that the body names."""
    wallet_id, key_id = _payer(caller, body.wallet_id)
    return await wallets.ahold(
        wallet_id,
        body.amount_yen,
        idempotency_key=_required(key),
        ttl_seconds=body.ttl_seconds,
        note=body.note,
        key_id=key_id,
    )


async def capture(wallets: CreditWallet, caller: Caller, body: CaptureBody, key: str | None) -> Outcome:
    """Capture a hold of the caller's; the operator may capture any."""
    await wallets.ask(_require_own_hold, wallets, caller, body.hold_id)
    return await wallets.acapture(body.hold_id, body.amount_yen, idempotency_key=_required(key))


async def release(wallets: CreditWallet, caller: Caller, body: ReleaseBody, key: str | None) -> Outcome:
    """Release a hold of the caller's; the operator may release any."""
    await wallets.ask(_require_own_hold, wallets, caller, body.hold_id)
    return await wallets.arelease(body.hold_id, idempotency_key=_required(key))


async def refund(wallets: CreditWallet, caller: Caller, body: RefundBody, key: str | None) -> Outcome:
    """Refund a charge; for the operator."""
    require_operator(caller)
    return await wallets.arefund(body.txn_id, body.amount_yen, idempotency_key=_required(key), note=body.note)


async def operator_topup(wallets: CreditWallet, caller: Caller, body: OperatorTopupBody, key: str | None) -> Outcome:
    """Credit a wallet by hand; for the operator."""
    require_operator(caller)
    return await wallets.atopup(
        body.wallet_id,
        body.amount_yen,
        idempotency_key=_required(key),
        promo=body.promo,
        expires_at=body.expires_at,
        note=body.note,
    )


async def charge_batch(wallets: CreditWallet, caller: Caller, body: BatchBody, topup_url: str) -> BatchReply:
    """Charge many wallets in one durable batch; for the operator. Every item has its own idempotency key."""
    require_operator(caller)
    outcomes = await wallets.acharge_many(
        Charge(item.wallet_id, item.idempotency_key, item.amount_yen, item.note) for item in body.charges
    )
    return BatchReply(
        [
            problem_of(outcome, topup_url)[1]
            if isinstance(outcome, WalletError)
            else structs.asdict(MovementReply.of(outcome))
            for outcome in outcomes
        ]
    )


def _payer(caller: Caller, wallet_id: int | None) -> tuple[int, int | None]:
    if caller.access is None:
        if wallet_id is None:
            raise InvalidRequest("wallet_id is required with the operator key", field="wallet_id")
        return wallet_id, None
    if wallet_id is not None and wallet_id != caller.access.wallet_id:
        raise Forbidden("wallet_id is not the token's wallet; leave it out", field="wallet_id")
    return caller.access.wallet_id, caller.access.key_id


def _require_own_hold(wallets: CreditWallet, caller: Caller, hold_id: int) -> None:
    """Somebody else's hold does not exist for the caller. An agent key closes the holds it made, while it works."""
    if caller.access is None:
        return
    hold = wallets.hold_status(hold_id)
    key_id = caller.access.key_id
    if hold.wallet_id != caller.access.wallet_id or (key_id is not None and hold.key_id != key_id):
        raise HoldNotFound(f"there is no hold {hold_id}", hold_id=hold_id)
    if key_id is not None and not wallets.key_works(key_id):
        raise Unauthorized(f"agent key {key_id} is revoked or expired", key_id=key_id)


def _required(key: str | None) -> str:
    if key is None:
        raise IdempotencyKeyRequired(
            "send an Idempotency-Key header, new for every request and the same for every retry of it"
        )
    return key
