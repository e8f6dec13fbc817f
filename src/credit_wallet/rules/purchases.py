"""Purchases: what a buyer's request has paid for, whether it was served, and who may undo it.

A purchase is named by a key that its seller makes of the buyer's request. It is *running* while an attempt holds its
lease, *served* once the answer has begun to reach the buyer, and *undone* when its payment was refunded or released.
Every step is decided in the transaction that moves the money, so any number of workers and restarts act as one:

- a served purchase stays paid, whatever happens to the attempt afterwards;
- only the attempt that holds the lease can undo it, and only before it is served;
- when an attempt is lost, the next one takes over without paying again.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import msgpack, structs

from credit_wallet.domain.commands import Buy, PurchaseCommand, Renew, Serve, Undo
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.outcomes import Bought, Charged, Held, Renewed, Served, Undone
from credit_wallet.domain.retry_after import whole_seconds
from credit_wallet.errors import (
    IdempotencyConflict,
    PurchaseNotFound,
    PurchaseRunning,
    RetriesExhausted,
    WalletError,
)
from credit_wallet.rules import budgets, lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.clawbacks import remember_lots
from credit_wallet.rules.credit import emit_lower
from credit_wallet.rules.details import exact_micros, parse_detail, usage_of
from credit_wallet.rules.holds import open_hold, prolong, return_hold, serve_hold
from credit_wallet.rules.idempotency import requested
from credit_wallet.rules.pricing import count_usage, uncount_usage
from credit_wallet.rules.refunds import refund_charge
from credit_wallet.rules.spending import charge, count_spent, note_sale, take_or_owe
from credit_wallet.rules.state import EntryRecord, HoldState, PurchaseState, WalletState


def buy(batch: Batch, wallet: WalletState, command: Buy) -> Bought | WalletError:
    """Pay for a request, unless it was paid for before."""
    request = _fingerprint(command)
    purchase = batch.snapshot.purchases.get((command.stored_key, wallet.wallet_id))
    if purchase is None:
        return _pay(batch, wallet, command, request)
    if purchase.fingerprint != request:
        return IdempotencyConflict(
            "this idempotency key was used for a request with another price or payer; send a new key",
            idempotency_key=command.purchase_key,
        )
    if purchase.status == "undone" or _is_returned(batch, purchase):
        return _pay(batch, wallet, command, request)
    if purchase.status == "served" or _is_captured(batch, purchase):
        return _free(batch, wallet, command, purchase)
    if purchase.attempt != command.attempt and batch.at < purchase.lease_until:
        return _running(batch, purchase)
    return _take_over(batch, wallet, command, purchase)


def serve(batch: Batch, wallet: WalletState, command: Serve) -> Served | WalletError:
    """Record that the buyer was served."""
    purchase = _purchase_of(batch, wallet, command)
    if isinstance(purchase, WalletError):
        return purchase
    amount_micros = 0
    if purchase.status != "served":
        hold = None if purchase.hold_id is None else batch.snapshot.holds.get(purchase.hold_id)
        if hold is not None:
            serve_hold(batch, wallet, hold)
        elif purchase.hold_id is not None or purchase.status == "undone":
            amount_micros = _charge_again(batch, wallet, purchase)
        purchase.status, purchase.undone_txn_id = "served", None
    name = (command.stored_key, wallet.wallet_id)
    if command.forget:
        del batch.snapshot.purchases[name]
        batch.decision.touched_purchases.pop(name, None)
        batch.decision.dropped_purchases.add(name)
    else:
        batch.decision.touched_purchases[name] = purchase
    return Served(wallet.wallet_id, amount_micros, wallet.balance_micros, purchase.txn_id, purchase.hold_id)


def renew(batch: Batch, wallet: WalletState, command: Renew) -> Renewed | WalletError:
    """Keep a purchase for its attempt, and the hold that pays for it open."""
    purchase = _purchase_of(batch, wallet, command)
    if isinstance(purchase, WalletError):
        return purchase
    if purchase.attempt != command.attempt:
        return _running(batch, purchase)
    if purchase.status != "undone":
        _lease(batch, purchase, command.lease_seconds)
        if hold := _open_hold(batch, purchase):
            prolong(batch, wallet, hold, command.lease_seconds)
    return Renewed(wallet.wallet_id, 0, wallet.balance_micros, purchase.txn_id, purchase.hold_id)


def undo(batch: Batch, wallet: WalletState, command: Undo) -> Undone | WalletError:
    """Refund or release a purchase, if this attempt holds it and it was not served; otherwise nothing moves."""
    purchase = _purchase_of(batch, wallet, command)
    if isinstance(purchase, WalletError):
        return purchase
    mine = purchase.attempt == command.attempt and not (command.abandoned and batch.at < purchase.lease_until)
    if purchase.status != "running" or not mine:
        return _undone(wallet, purchase, 0)
    batch.decision.touched_purchases[purchase.purchase_key, wallet.wallet_id] = purchase
    if _is_captured(batch, purchase):
        purchase.status = "served"
        return _undone(wallet, purchase, 0)
    amount_micros = 0
    charged = None if purchase.txn_id is None else _known_charge(batch, purchase.txn_id)
    if charged is not None and not purchase.amount_micros:
        uncount_usage(batch, wallet, charged.usage, charged.occurred_at)
    elif purchase.txn_id is not None and not _is_returned(batch, purchase):
        given_back = refund_charge(batch, wallet, purchase.txn_id, None, command.reason, purchase.names)
        if isinstance(given_back, WalletError):
            return given_back
        amount_micros, purchase.undone_txn_id = given_back.amount_micros, given_back.txn_id
        batch.decision.touched[wallet.wallet_id] = wallet
    if hold := _open_hold(batch, purchase):
        amount_micros = hold.left_micros
        return_hold(batch, wallet, hold, "released")
        batch.decision.touched[wallet.wallet_id] = wallet
    purchase.status = "served" if _is_captured(batch, purchase) else "undone"
    return _undone(wallet, purchase, amount_micros)


def _pay(batch: Batch, wallet: WalletState, command: Buy, request: bytes) -> Bought | WalletError:
    remember_lots(batch, wallet)
    if command.hold_seconds is None:
        outcome: Charged | Held | WalletError = charge(
            batch,
            wallet,
            command.amount_micros,
            command.note,
            command.key_id,
            command.actor,
            command.usage,
            command.names,
        )
    else:
        outcome = open_hold(
            batch,
            wallet,
            command.amount_micros,
            command.hold_seconds,
            command.note,
            command.key_id,
            command.actor,
            command.usage,
            command.names,
        )
    if isinstance(outcome, WalletError):
        return outcome
    purchase = PurchaseState(
        purchase_key=command.stored_key,
        wallet_id=wallet.wallet_id,
        key_id=command.key_id,
        actor=command.actor,
        fingerprint=request,
        attempt=command.attempt,
        status="running",
        amount_micros=outcome.amount_micros,
        txn_id=outcome.txn_id,
        hold_id=outcome.hold_id,
        undone_txn_id=None,
        free_used=0,
        lease_until="",
        usage=command.usage and structs.replace(command.usage, price_version=outcome.price_version),
        names=command.names,
    )
    batch.snapshot.purchases[purchase.purchase_key, wallet.wallet_id] = purchase
    batch.decision.touched[wallet.wallet_id] = wallet
    _lease(batch, purchase, command.lease_seconds)
    return Bought(
        wallet.wallet_id,
        outcome.amount_micros,
        outcome.balance_micros,
        outcome.txn_id,
        outcome.hold_id,
        False,
        outcome.alerts,
        outcome.warn_pct,
        outcome.expires_at,
        price_version=outcome.price_version,
    )


def _free(batch: Batch, wallet: WalletState, command: Buy, purchase: PurchaseState) -> Bought | WalletError:
    if purchase.free_used >= command.free_retries:
        return RetriesExhausted(
            f"the response for this idempotency key was paid for once and sent {purchase.free_used + 1} times; "
            "a new idempotency key is charged again",
            free_retries=command.free_retries,
        )
    purchase.free_used += 1
    batch.decision.touched_purchases[purchase.purchase_key, wallet.wallet_id] = purchase
    return _bought_before(wallet, purchase, free=True)


def _take_over(batch: Batch, wallet: WalletState, command: Buy, purchase: PurchaseState) -> Bought:
    """Continue a paid purchase: the same attempt repeats its request, or the one that held it was lost."""
    purchase.attempt = command.attempt
    _lease(batch, purchase, command.lease_seconds)
    if hold := _open_hold(batch, purchase):
        prolong(batch, wallet, hold, command.hold_seconds or command.lease_seconds)
    return _bought_before(wallet, purchase, free=False)


def _charge_again(batch: Batch, wallet: WalletState, purchase: PurchaseState) -> int:
    """Charge for a purchase that was served after it had been undone; return what the balance could pay."""
    taken = take_or_owe(batch, wallet, purchase.amount_micros)
    taken_micros = lots.total_micros(taken)
    purchase.txn_id = purchase.hold_id = None  # the first payment was returned; a debt has no entry
    count_usage(batch, wallet, purchase.usage)
    if taken_micros or not purchase.amount_micros:
        note = "served after it was given back"
        purchase.txn_id = append(
            batch,
            wallet,
            "charge",
            -taken_micros,
            taken,
            note,
            usage=purchase.usage,
            key_id=purchase.key_id,
            names=purchase.names,
        )
        note_sale(batch, wallet, purchase.txn_id, purchase.actor)
        key = None if purchase.key_id is None else batch.snapshot.keys.get(purchase.key_id)
        counters = budgets.matching(batch, wallet, purchase.key_id, purchase.usage)
        budgets.count(batch, counters, taken_micros, calls=1)
        count_spent(Charged, batch, wallet, key, taken_micros, purchase.txn_id, None)
        emit_lower(batch, wallet, taken, taken_micros)
    return taken_micros


def _known_charge(batch: Batch, txn_id: int) -> EntryRecord | None:
    """A charge, made refundable within the same batch if it is of this one."""
    known = batch.snapshot.entries.get(txn_id)
    if known is None and (entry := batch.decision.entry(txn_id)) is not None:
        detail = parse_detail(entry.detail)
        known = batch.snapshot.entries[txn_id] = EntryRecord(
            txn_id,
            entry.wallet_id,
            exact_micros(entry.amount_yen, detail),
            entry.txn_type,
            lots.parse_allocation(entry.lots),
            0,
            usage_of(detail),
            entry.occurred_at,
        )
    return known


def _lease(batch: Batch, purchase: PurchaseState, seconds: int) -> None:
    purchase.lease_until = max(purchase.lease_until, format_instant(batch.now + timedelta(seconds=seconds)))
    batch.decision.touched_purchases[purchase.purchase_key, purchase.wallet_id] = purchase


def _open_hold(batch: Batch, purchase: PurchaseState) -> HoldState | None:
    hold = None if purchase.hold_id is None else batch.snapshot.holds.get(purchase.hold_id)
    return hold if hold is not None and hold.status == "open" else None


def _is_returned(batch: Batch, purchase: PurchaseState) -> bool:
    """Whether the payment of a purchase has returned to the buyer, whoever refunded or released it; a debt has not."""
    if purchase.hold_id is not None:
        hold = batch.snapshot.holds.get(purchase.hold_id)
        return hold is not None and hold.status in ("released", "expired") and not hold.captured_micros
    entry = None if purchase.txn_id is None else batch.snapshot.entries.get(purchase.txn_id)
    return entry is not None and entry.returned_micros >= purchase.amount_micros > 0


def _is_captured(batch: Batch, purchase: PurchaseState) -> bool:
    """Whether its hold was captured, in whole or in part, which counts as served."""
    hold = None if purchase.hold_id is None else batch.snapshot.holds.get(purchase.hold_id)
    return hold is not None and hold.status != "open" and (hold.status == "captured" or hold.captured_micros > 0)


def _purchase_of(batch: Batch, wallet: WalletState, command: PurchaseCommand) -> PurchaseState | WalletError:
    purchase = batch.snapshot.purchases.get((command.stored_key, wallet.wallet_id))
    if purchase is None:
        return PurchaseNotFound(f"wallet {wallet.wallet_id} has no such purchase", purchase_key=command.purchase_key)
    return purchase


def _running(batch: Batch, purchase: PurchaseState) -> PurchaseRunning:
    left = parse_instant(purchase.lease_until) - batch.now
    return PurchaseRunning(
        "another attempt is serving this request; try again with the same idempotency key",
        retry_after_seconds=min(10, whole_seconds(left.total_seconds())),
    )


def _bought_before(wallet: WalletState, purchase: PurchaseState, *, free: bool) -> Bought:
    return Bought(
        wallet.wallet_id,
        purchase.amount_micros,
        wallet.balance_micros,
        purchase.txn_id,
        purchase.hold_id,
        replayed=True,
        free=free,
        price_version=None if purchase.usage is None else purchase.usage.price_version,
    )


def _undone(wallet: WalletState, purchase: PurchaseState, amount_micros: int) -> Undone:
    return Undone(wallet.wallet_id, amount_micros, wallet.balance_micros, purchase.txn_id, purchase.hold_id)


def _fingerprint(command: Buy) -> bytes:
    """Equal for equal requests: payer, and price or item and quantity. A retry may tell other facts."""
    request = (requested(command.amount_micros), command.hold_seconds is None, command.key_id)
    if command.usage is None or command.usage.item is None:
        return msgpack.encode(request)
    return msgpack.encode((*request, command.usage.item, command.usage.quantity_micros))
