"""Erasing a closed wallet's personal data, in steps that a retry goes on with, wherever it was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from credit_wallet.domain.actors import PAYER
from credit_wallet.domain.acts import BY_LINK, ActFilter, ActView
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.erasure import KINDS, Erasure
from credit_wallet.domain.views import Transaction
from credit_wallet.ledger.ledger import MAX_PAGE, Ledger
from credit_wallet.rules.correction_validation import malformed_reason
from credit_wallet.rules.validation import MAX_ID, checked_id, malformed_text
from credit_wallet.stores.acts import acts
from credit_wallet.stores.jobs import erasure

if TYPE_CHECKING:
    from credit_wallet.ledger.wallet import CreditWallet


def erase(wallets: CreditWallet, wallet_id: int, reason: CorrectionReason, note: str | None) -> Erasure:
    """As ``CreditWallet.erase_personal_data`` says."""
    if problem := malformed_reason(reason) or malformed_text("note", note):
        raise problem
    ledger, dialect = wallets._ledger, wallets._ledger.reader.source.dialect
    checked_id("wallet_id", wallet_id)
    ended_at = ledger.write(wallet_id, erasure.begin, dialect, wallet_id, reason, note)
    while wallets.maintenance.seal():
        pass
    emptied = _settings(wallets, dialect, wallet_id) + _entries(ledger, dialect, wallet_id)
    emptied += _acts(ledger, dialect, wallet_id)
    return ledger.write(wallet_id, erasure.end, dialect, wallet_id, ended_at, emptied)


def _settings(wallets: CreditWallet, dialect: str, wallet_id: int) -> int:
    """Whatever is not sealed."""
    ledger = wallets._ledger
    emptied = ledger.maintain(erasure.erase_settings, dialect, wallet_id)
    for name in erasure.BOUNDED:
        while some := ledger.maintain(erasure.erase_some, dialect, name, wallet_id):
            emptied += some
    while some := ledger.maintain(erasure.erase_holds, dialect, wallet_id):
        emptied += some
    return emptied + ledger.maintain(erasure.erase_targets, dialect, wallet_id)


def _entries(ledger: Ledger, dialect: str, wallet_id: int) -> int:
    """Range by range along the wallet's entries, the newest first."""
    wallet, emptied = ledger.reader.wallet(wallet_id), 0
    before, last_left = None, MAX_ID
    while page := ledger.reader.history(wallet, limit=MAX_PAGE, before_txn_id=before):
        told = next((entry.txn_id for entry in page if entry.txn_id <= last_left and _tells(entry)), None)
        if told is not None:
            last_left, _, some = _step(ledger, dialect, wallet_id, "seal_of_entry", told)
            emptied += some
        before = page[-1].txn_id if told is None else told
    return emptied


def _tells(entry: Transaction) -> bool:
    names = (entry.request_id, entry.reference, entry.metadata, entry.idempotency_key)
    return entry.note is not None or any(names)


def _acts(ledger: Ledger, dialect: str, wallet_id: int) -> int:
    """What is left in the log of acts, range by range, the newest first."""
    emptied, before = 0, MAX_ID
    while page := acts(ledger.reader.source, ActFilter(wallet_id), before, MAX_PAGE):
        told = next((act.act_id for act in page if _says(act)), None)
        if told is None:
            before = page[-1].act_id
            continue
        _, last_before, some = _step(ledger, dialect, wallet_id, "seal_of_act", told)
        before, emptied = last_before + 1, emptied + some
    return emptied


def _says(act: ActView) -> bool:
    if act.kind in KINDS:
        return False
    is_person = act.actor == PAYER and act.by != "owner" and not act.by.startswith(("agent:", BY_LINK))
    told = any(name in (texts or {}) for texts in (act.before, act.after) for name in erasure.TOLD)
    return told or is_person or any(text is not None for text in (act.address, act.request_id, act.note))


def _step(ledger: Ledger, dialect: str, wallet_id: int, found_by: str, row_id: int) -> tuple[int, int, int]:
    return ledger.maintain(erasure.erase_sealed, dialect, wallet_id, found_by, row_id, ledger.author, ledger.clock())
