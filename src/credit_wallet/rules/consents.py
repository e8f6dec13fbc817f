"""The rule of consents: automatic top-ups are not switched on or changed without a record of what was agreed to."""

from __future__ import annotations

from msgspec import UNSET, structs

from credit_wallet.domain.actors import PAYER
from credit_wallet.domain.acts import Act
from credit_wallet.domain.commands import Configure
from credit_wallet.domain.consents import (
    LANGUAGES,
    MAX_CONSENT_LENGTH,
    STANDARD_VERSION,
    Consent,
    ConsentFigures,
    is_consent_text,
    standard_text,
)
from credit_wallet.domain.settings import AUTO_TOPUP
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.state import WalletState


def malformed_consent(command: Configure) -> InvalidRequest | None:
    """What is wrong with the text that was agreed to, or its language."""
    text, language = command.auto_topup_consent, command.auto_topup_consent_language
    if language not in LANGUAGES:
        field = "auto_topup_consent_language"
        return InvalidRequest(f"{field} must be {' or '.join(LANGUAGES)}, not {language!r}", field=field)
    if text is UNSET or is_consent_text(text):
        return None
    return InvalidRequest(
        f"auto_topup_consent must be the text that was agreed to, 1 to {MAX_CONSENT_LENGTH:,} characters without NUL",
        field="auto_topup_consent",
    )


def first_consent(wallet_id: int, threshold_yen: int, amount_yen: int, at: str) -> Consent | None:
    """What an operator has recorded by making a wallet whose automatic top-ups are on; None when they are off."""
    if not threshold_yen:
        return None
    figures = ConsentFigures(threshold_yen, amount_yen, 0, 0)
    return Consent(
        *structs.astuple(figures),
        wallet_id=wallet_id,
        consent_no=1,
        consented_at=at,
        consented_by="operator",
        language="en",
        text=standard_text(figures, "en"),
        version=STANDARD_VERSION,
    )


def record_consent(batch: Batch, wallet: WalletState, command: Configure) -> InvalidRequest | None:
    """Record what is agreed to by settings that switch automatic top-ups on, change them, or switch them off.

    A text that was shown is recorded whenever it is given, also if nothing changes. Limits that are changed while
    automatic top-ups are off are agreed to when these are switched on.
    """
    before = [getattr(wallet, name) for name in AUTO_TOPUP]
    given = [getattr(command, name) for name in AUTO_TOPUP]
    after = [old if new is UNSET else new for old, new in zip(before, given, strict=True)]
    figures = ConsentFigures(*after)
    shown, is_on, was_on = command.auto_topup_consent, bool(figures.auto_topup_threshold), bool(before[0])
    if shown is not UNSET and not is_on:
        return InvalidRequest(
            "auto_topup_consent is for automatic top-ups that are on: set auto_topup_threshold and auto_topup_amount",
            field="auto_topup_consent",
        )
    if not (shown is not UNSET or (after != before and (is_on or was_on))):
        return None
    language = command.auto_topup_consent_language
    wallet.auto_topup_consents += 1
    batch.decision.consents.append(
        Consent(
            *after,
            wallet_id=wallet.wallet_id,
            consent_no=wallet.auto_topup_consents,
            consented_at=batch.at,
            consented_by="owner" if command.author.actor == PAYER else "operator",
            language=language,
            text=standard_text(figures, language) if shown is UNSET else shown,
            version=STANDARD_VERSION if shown is UNSET else None,
        )
    )
    consent = {"consent_no": wallet.auto_topup_consents, "language": language}
    act = Act("auto_topup.consented", f"wallet:{wallet.wallet_id}", wallet.wallet_id, after=consent)
    batch.decision.acts.append((command.author, act))
    return None
