"""The calls that move money, as functions of a caller, a parsed body and an idempotency key.

The fast lane and the documented routes both call these, so that they cannot differ.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import to_builtins

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH, Charge
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import Forbidden, InvalidAmount, InvalidRequest, WalletError
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.rules.names import called
from credit_wallet.rules.usage import asked_for
from credit_wallet.rules.validation import is_idempotency_key
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.bodies import (
    BatchBody,
    BatchItem,
    CaptureBody,
    ChargeBody,
    ExtendBody,
    HoldBody,
    OperatorTopupBody,
    RefundBody,
    ReleaseBody,
)
from credit_wallet.wire.problems import IdempotencyKeyRequired, problem_of
from credit_wallet.wire.purchase_bodies import BuyBody, RenewBody, ServeBody, UndoBody
from credit_wallet.wire.replies import BatchReply, MovementReply


class Sent(NamedTuple):
    """What the headers of a call say of its request: the id only if the caller sent one."""

    idempotency_key: str | None
    request_id: str | None = None


_ENDS_LIKE_AN_AGENTS = re.compile(r":[0-9]+\Z")


async def charge(wallets: CreditWallet, caller: Caller, body: ChargeBody, sent: Sent) -> Outcome:
    """Charge the caller's wallet, or for sellers and the operator the one that the body or the payer's token names."""
    wallet_id, key_id = _payer(caller, body.wallet_id)
    return await wallets.acharge(
        wallet_id,
        **body.asked(),
        idempotency_key=required_key(sent.idempotency_key),
        note=body.note,
        key_id=key_id,
        actor=caller.actor,
        request_id=sent.request_id,
        reference=body.reference,
        metadata=body.metadata,
    )


async def hold(wallets: CreditWallet, caller: Caller, body: HoldBody, sent: Sent) -> Outcome:
    """Set yen aside in the caller's wallet, or for sellers and the operator in the one that is named."""
    wallet_id, key_id = _payer(caller, body.wallet_id)
    return await wallets.ahold(
        wallet_id,
        **body.asked(),
        idempotency_key=required_key(sent.idempotency_key),
        ttl_seconds=body.ttl_seconds,
        note=body.note,
        key_id=key_id,
        actor=caller.actor,
        request_id=sent.request_id,
        reference=body.reference,
        metadata=body.metadata,
    )


async def capture(wallets: CreditWallet, caller: Caller, body: CaptureBody, sent: Sent) -> Outcome:
    """Capture a hold that the caller may close."""
    return await wallets.acapture(
        body.hold_id,
        **body.asked(),
        idempotency_key=required_key(sent.idempotency_key),
        final=body.final,
        above=body.above,
        wallet_id=_own_wallet(caller),
        key_id=caller.key_id,
        actor=caller.actor,
        request_id=sent.request_id,
        reference=body.reference,
        metadata=body.metadata,
    )


async def release(wallets: CreditWallet, caller: Caller, body: ReleaseBody, sent: Sent) -> Outcome:
    """Release a hold that the caller may close."""
    return await wallets.arelease(
        body.hold_id,
        idempotency_key=required_key(sent.idempotency_key),
        wallet_id=_own_wallet(caller),
        key_id=caller.key_id,
        actor=caller.actor,
    )


async def extend(wallets: CreditWallet, caller: Caller, body: ExtendBody) -> Outcome:
    """Extend a hold that the caller may close."""
    return await wallets.aextend(
        body.hold_id, body.ttl_seconds, wallet_id=_own_wallet(caller), key_id=caller.key_id, actor=caller.actor
    )


async def refund(wallets: CreditWallet, caller: Caller, body: RefundBody, sent: Sent) -> Outcome:
    """Refund a charge; for the operator, and for the seller that made it."""
    return await wallets.arefund(
        body.txn_id,
        body.amount_yen,
        idempotency_key=required_key(sent.idempotency_key),
        note=body.note,
        actor=caller.actor,
        request_id=sent.request_id,
        reference=body.reference,
        metadata=body.metadata,
    )


async def buy(wallets: CreditWallet, caller: Caller, body: BuyBody, sent: Sent) -> tuple[Outcome, str]:
    """Sell a request to the payer that the seller names; the outcome, and the purchase's key from now on."""
    wallet_id, key_id = _payer(caller, body.wallet_id)
    purchase_key = purchase_key_of(required_key(sent.idempotency_key), key_id)
    outcome = await wallets.purchases.abuy(
        wallet_id,
        **body.asked(),
        purchase_key=purchase_key,
        attempt=body.attempt,
        hold_seconds=body.hold_seconds,
        lease_seconds=body.lease_seconds,
        free_retries=body.free_retries,
        note=body.note,
        key_id=key_id,
        actor=caller.actor,
        request_id=sent.request_id,
        reference=body.reference,
        metadata=body.metadata,
    )
    return outcome, purchase_key


def purchase_key_of(key: str, key_id: int | None) -> str:
    """The key of a purchase: the request's, and which of the wallet's agents asked.

    A key of the owner's that ends like an agent's gets the number that no agent has, so that no two are the same.
    """
    if key_id is None:
        return f"{key}:0" if _ENDS_LIKE_AN_AGENTS.search(key) else key
    return f"{key}:{key_id}"


async def serve(wallets: CreditWallet, caller: Caller, body: ServeBody) -> Outcome:
    """Record that a purchase was served."""
    return await wallets.purchases.aserve(
        body.wallet_id, body.purchase_key, attempt=body.attempt, forget=body.forget, actor=caller.actor
    )


async def renew(wallets: CreditWallet, caller: Caller, body: RenewBody) -> Outcome:
    """Keep a purchase for its attempt."""
    return await wallets.purchases.arenew(
        body.wallet_id, body.purchase_key, attempt=body.attempt, lease_seconds=body.lease_seconds, actor=caller.actor
    )


async def undo(wallets: CreditWallet, caller: Caller, body: UndoBody) -> Outcome:
    """Give back what a purchase took."""
    return await wallets.purchases.aundo(
        body.wallet_id, body.purchase_key, attempt=body.attempt, reason=body.reason, actor=caller.actor
    )


async def operator_topup(wallets: CreditWallet, body: OperatorTopupBody, sent: Sent) -> Outcome:
    """Credit a wallet by hand; for the operator."""
    return await wallets.atopup(
        body.wallet_id,
        body.amount_yen,
        idempotency_key=required_key(sent.idempotency_key),
        promo=body.promo,
        expires_at=body.expires_at,
        note=body.note,
        request_id=sent.request_id,
        reference=body.reference,
        metadata=body.metadata,
    )


async def charge_batch(
    wallets: CreditWallet, caller: Caller, body: BatchBody, topup_url: str, request_id: str | None
) -> BatchReply:
    """Charge many wallets in one durable batch; for the operator. Every item has its own idempotency key, and the id of
    the whole request unless it says another.
    """
    outcomes = await wallets.acharge_many(
        [_charge_of_batch(number, item, caller.actor, request_id) for number, item in enumerate(body.charges)]
    )
    return BatchReply(
        [
            problem_of(outcome, topup_url)[1]
            if isinstance(outcome, WalletError)
            else to_builtins(MovementReply.of(outcome))
            for outcome in outcomes
        ]
    )


def _charge_of_batch(number: int, item: BatchItem, actor: Actor, request_id: str | None) -> Charge:
    try:
        asked = item.asked().get
        amount_micros, usage = asked_for(
            asked("amount_yen"), asked("item"), asked("quantity"), asked("facts"), asked("agent_facts"), actor
        )
        names = called(item.request_id or request_id, item.reference, item.metadata)
    except (InvalidAmount, InvalidRequest) as refusal:
        refusal.details["field"] = f"charges[{number}].{refusal.details['field']}"
        raise
    return Charge(item.wallet_id, item.idempotency_key, amount_micros, item.note, usage=usage, actor=actor, names=names)


def _payer(caller: Caller, wallet_id: int | None) -> tuple[int, int | None]:
    if caller.payer is not None:
        if wallet_id not in (None, caller.payer.wallet_id):
            raise Forbidden(
                "X-Payer-Token belongs to another wallet than wallet_id; leave wallet_id out", field="wallet_id"
            )
        return caller.payer.wallet_id, caller.payer.key_id
    if caller.access is None:
        if wallet_id is None:
            raise InvalidRequest(
                "a seller's token or an operator key does not say who pays; send wallet_id or X-Payer-Token",
                field="wallet_id",
            )
        return wallet_id, None
    if wallet_id is not None and wallet_id != caller.access.wallet_id:
        raise Forbidden("the token belongs to another wallet than wallet_id; leave wallet_id out", field="wallet_id")
    return caller.access.wallet_id, caller.access.key_id


def _own_wallet(caller: Caller) -> int | None:
    """The wallet that holds must be of: for a payer those of others do not exist."""
    return None if caller.access is None else caller.access.wallet_id


def required_key(key: str | None) -> str:
    """The ``Idempotency-Key`` of a call that moves money. Raises ``IdempotencyKeyRequired``, ``InvalidRequest``.

    It is printable ASCII, as in bodies: of other characters the ones that a header carries are anybody's guess.
    """
    if key is None:
        raise IdempotencyKeyRequired(
            "the Idempotency-Key header is missing; send a new key for every request and the same key for every retry"
        )
    if not key.isascii() or not is_idempotency_key(key):
        raise InvalidRequest(
            f"Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters",
            field="idempotency_key",
        )
    return key
