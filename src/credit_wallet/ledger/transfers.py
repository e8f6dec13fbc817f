"""Transfers: credit moves between wallets of one owner, as out of the one and in to the other under one id.

No transaction spans both, since they may be on different shards. Whoever asks takes three steps, one after the other:
out, in, and the end is noted. What is interrupted in between, the same request or a background job finishes.
"""

from __future__ import annotations

import builtins
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta

from credit_wallet.domain.actors import OPERATOR, Actor
from credit_wallet.domain.commands import EndTransfer, TransferIn, TransferOut
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MAX_BALANCE_MICROS, format_micros
from credit_wallet.domain.outcomes import TransferEnded, TransferredIn, TransferredOut
from credit_wallet.domain.transfers import Transferred, TransferView, is_transfer_id, source_of, together
from credit_wallet.errors import (
    DatabaseError,
    InvalidAmount,
    RailBusy,
    TransferNotFound,
    TransferReturned,
    WalletError,
)
from credit_wallet.ledger.ledger import Ledger, checked_page, well_formed
from credit_wallet.ledger.reading_lanes import MONEY
from credit_wallet.rules.transfers import in_few_parts
from credit_wallet.rules.usage import Amount, checked_amount
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import transfer_rows
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.ledger")

FINISHED_AFTER = timedelta(seconds=10)
"""How long a transfer is on its way before the background job finishes it; until then whoever asked for it does."""

FIRST = ("", 0, "")
"""Before every transfer."""


class Transfers:
    """``wallets.transfers``: move credit between wallets of one owner."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        wallet_id: int,
        to_wallet_id: int,
        amount_yen: Amount,
        *,
        idempotency_key: str,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> Transferred:
        """Move ``amount_yen`` from ``wallet_id`` to ``to_wallet_id``, which must belong to the same owner.

        Credit leaves in the order of spending and keeps its kind and its expiry. It is neither spending nor a top-up.
        If it is interrupted, the same request or ``maintenance.finish_transfers`` goes on where it stopped.

        Raises ``WalletNotFound``, ``InsufficientFunds``, ``WalletDisabled``, ``TransferNotAllowed``, ``InvalidAmount``,
        ``InvalidRequest``, and ``TransferReturned`` when the other wallet could not take it after all.
        """
        out = _out(self._ledger, wallet_id, to_wallet_id, amount_yen, idempotency_key, note, actor)
        _check_room(self._ledger, out)
        taken = self._ledger.run(TransferredOut, out)
        come = _come_in(self._ledger, out.wallet_id, out.transfer_id)
        came = self._ledger.run(TransferredIn, come)
        with _later(came):
            self._ledger.run(TransferEnded, _end(come, came))
        return _answer(out, taken, came)

    async def acreate(
        self,
        wallet_id: int,
        to_wallet_id: int,
        amount_yen: Amount,
        *,
        idempotency_key: str,
        note: str | None = None,
        actor: Actor = OPERATOR,
    ) -> Transferred:
        """The asyncio twin of ``create``."""
        out = _out(self._ledger, wallet_id, to_wallet_id, amount_yen, idempotency_key, note, actor)
        ask = self._ledger.reading_lanes.ask
        await ask(MONEY, _check_room, self._ledger, out)
        taken = await self._ledger.arun(TransferredOut, out)
        come = await ask(MONEY, _come_in, self._ledger, out.wallet_id, out.transfer_id)
        came = await self._ledger.arun(TransferredIn, come)
        with _later(came):
            await self._ledger.arun(TransferEnded, _end(come, came))
        return _answer(out, taken, came)

    def list(self, wallet_id: int, *, limit: int = 50, before: str | None = None) -> builtins.list[TransferView]:
        """The wallet's transfers, out and in, newest first, up to ``limit`` (at most 1,000).

        For the next page, pass the last ``transfer_id`` as ``before``. Raises ``TransferNotFound`` for a ``before``
        that the wallet does not have.
        """
        checked_id("wallet_id", wallet_id)
        after = None if before is None else self.show(before, wallet_id=wallet_id)
        return transfer_rows.transfers(self._ledger.reader.source, wallet_id, checked_page(limit), after)

    def show(self, transfer_id: str, *, wallet_id: int | None = None) -> TransferView:
        """A transfer, as the wallet that it leaves has it, or as ``wallet_id`` has it. Raises ``TransferNotFound``."""
        found = None
        if is_transfer_id(transfer_id):
            of_wallet = source_of(transfer_id) if wallet_id is None else checked_id("wallet_id", wallet_id)
            found = transfer_rows.transfer(self._ledger.reader.source, of_wallet, transfer_id)
        if found is None or found.status == "refused":
            raise TransferNotFound(f"there is no transfer {transfer_id}; check the id", transfer_id=transfer_id)
        return found


def finish(ledger: Ledger, limit: int = 1_000, after: tuple[str, int, str] = FIRST) -> tuple[int, tuple[str, int, str]]:
    """Finish up to ``limit`` transfers that have been on their way for ``FINISHED_AFTER``, the oldest first.

    Returns how many have ended, and the last one looked at. One that cannot end yet is left for the next time.
    """
    now = ledger.clock()
    before = format_instant(now - FINISHED_AFTER)
    found = transfer_rows.on_their_way(ledger.reader.source, before, format_instant(now), limit, after)
    ended = 0
    for wallet_id, transfer_id, _ in found:
        try:
            come = _come_in(ledger, wallet_id, transfer_id)
            ledger.run(TransferEnded, _end(come, ledger.run(TransferredIn, come)))
        except WalletError as error:
            _log.warning("transfer_waits", transfer_id=transfer_id, code=error.code, error=str(error))
        else:
            ended += 1
    if not found:
        return ended, FIRST
    wallet_id, transfer_id, created_at = found[-1]
    return ended, (created_at, wallet_id, transfer_id)


def finish_of(ledger: Ledger, wallet_id: int) -> None:
    """Finish what is on its way out of a wallet. Raises what keeps a transfer from ending."""
    for transfer in transfer_rows.transfers(ledger.reader.source, wallet_id, checked_page(1_000), None):
        if transfer.direction == "out" and transfer.status == "out":
            come = _come_in(ledger, wallet_id, transfer.transfer_id)
            ledger.run(TransferEnded, _end(come, ledger.run(TransferredIn, come)))


def most_at_once(ledger: Ledger, wallet_id: int) -> int:
    """How much of a wallet's balance a transfer takes at most: credit of ``MAX_PARTS`` kinds and expiries."""
    lots = ledger.reader.lots(wallet_id, ledger.clock())
    return in_few_parts(lots, sum(lot.remaining_micros for lot in lots))


def _out(
    ledger: Ledger,
    wallet_id: int,
    to_wallet_id: int,
    amount_yen: Amount,
    idempotency_key: str,
    note: str | None,
    actor: Actor,
) -> TransferOut:
    amount_micros = checked_amount(amount_yen)
    out = TransferOut(wallet_id, idempotency_key, to_wallet_id, amount_micros, note, actor=actor, author=ledger.author)
    well_formed(out)
    return out


def _check_room(ledger: Ledger, out: TransferOut) -> None:
    """Refuse what the other wallet could not take now, unless it was asked for before. Nothing has moved then.

    Raises ``WalletNotFound`` and ``InvalidAmount``.
    """
    if transfer_rows.transfer(ledger.reader.source, out.wallet_id, out.transfer_id) is not None:
        return
    to = ledger.reader.wallet(out.to_wallet_id)
    if to.balance_micros + to.held_micros + out.amount_micros > MAX_BALANCE_MICROS:
        raise InvalidAmount(
            f"the balance of wallet {out.to_wallet_id} would exceed {format_micros(MAX_BALANCE_MICROS)}; move less",
            field="amount_yen",
        )


def _come_in(ledger: Ledger, wallet_id: int, transfer_id: str) -> TransferIn:
    """The command that brings a transfer in, from what its row says it took out."""
    out = transfer_rows.transfer(ledger.reader.source, wallet_id, transfer_id)
    if out is None:
        raise TransferNotFound(f"wallet {wallet_id} has no transfer {transfer_id}", transfer_id=transfer_id)
    return TransferIn(out.other_wallet_id, transfer_id, wallet_id, together(out.lots), out.note)


def _end(come: TransferIn, came: TransferredIn) -> EndTransfer:
    return EndTransfer(come.from_wallet_id, come.transfer_id, came.reason)


def _later(came: TransferredIn) -> AbstractContextManager[None]:
    """That credit has come in may be noted later; that it was refused is not true before it is back."""
    return suppress(RailBusy, DatabaseError) if came.reason is None else nullcontext()


def _answer(out: TransferOut, taken: TransferredOut, came: TransferredIn) -> Transferred:
    if came.reason is not None:
        raise TransferReturned(
            f"wallet {out.to_wallet_id} did not take transfer {out.transfer_id}: {came.reason}; the credit is back in "
            f"wallet {out.wallet_id}, send another transfer with a new idempotency key",
            transfer_id=out.transfer_id,
            reason=came.reason,
        )
    return Transferred(
        out.transfer_id,
        out.wallet_id,
        out.to_wallet_id,
        taken.amount_micros,
        taken.balance_micros,
        came.balance_micros,
        taken.txn_id,
        taken.replayed,
    )
