"""Every call of the service as a value: what is sent, and how the answer is read. Pure.

Calls that move money make a UUIDv7 idempotency key unless they are given one; every retry sends the same. Amounts are
whole yen. What a call means and who may make it is in ``docs/reference/http.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

from msgspec import UNSET, Struct, UnsetType, json, structs

from credit_wallet.client.responses import Answer, read_as, read_outcome, read_outcomes, read_text
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH, Charge
from credit_wallet.domain.outcomes import (
    Alert,
    BudgetMode,
    CreatedKey,
    CreatedSeller,
    CreatedWallet,
    EntryType,
    HoldView,
    KeyView,
    LotView,
    Outcome,
    SecretView,
    SellerView,
    TransactionView,
    WalletView,
)
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.notices.targets import TargetView, WantedTarget
from credit_wallet.payments.replies import TopupReply
from credit_wallet.reports.statement import Rows, Statement
from credit_wallet.rules.forecast import Forecast
from credit_wallet.rules.validation import is_idempotency_key
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.wire.bodies import (
    MAX_BATCH_CHARGES,
    BatchBody,
    BatchItem,
    Body,
    BuyBody,
    CaptureBody,
    ChargeBody,
    ConfirmBody,
    CreateKeyBody,
    CreateSellerBody,
    CreateWalletBody,
    EnabledBody,
    ExtendBody,
    Health,
    HoldBody,
    Identity,
    OperatorTopupBody,
    PayBackBody,
    PurchaseReply,
    RefundBody,
    RegisterSecretBody,
    ReleaseBody,
    RenewBody,
    ReplaceTokenBody,
    RotateBody,
    ServeBody,
    SettingsBody,
    TargetBody,
    TargetsBody,
    TopupBody,
    TopupPage,
    TransactionPage,
    UndoBody,
    WalletReply,
)

T = TypeVar("T")

_PROCESS = token_hex(8)


class Call(Struct, Generic[T], frozen=True):
    """One request. ``repeatable``: sending it twice does what sending it once does.

    ``spends``: an empty wallet refuses it, and a top-up helps.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    body: Body | None = None
    params: Mapping[str, str | int] = {}
    idempotency_key: str | None = None
    repeatable: bool = True
    spends: bool = False
    payer_token: str | None = None

    def content(self) -> bytes | None:
        """The bytes of the body, if it has one."""
        return None if self.body is None else json.encode(self.body)


# Movements


def charge(
    amount_yen: int,
    *,
    idempotency_key: str | None = None,
    note: str | None = None,
    wallet_id: int | None = None,
    payer_token: str | None = None,
) -> Call[Outcome]:
    """Spend ``amount_yen``, 1 to 10**12. For sellers and operators ``wallet_id`` or ``payer_token`` says who pays."""
    body = ChargeBody(amount_yen, note, wallet_id)
    return _movement("/credit/charge", body, idempotency_key, spends=True, payer_token=payer_token)


def hold(
    amount_yen: int,
    *,
    idempotency_key: str | None = None,
    ttl_seconds: int = 900,
    note: str | None = None,
    wallet_id: int | None = None,
    payer_token: str | None = None,
) -> Call[Outcome]:
    """Set ``amount_yen`` aside for ``ttl_seconds`` (up to 31 days); the outcome's ``hold_id`` names it.

    For sellers and operators ``wallet_id`` or ``payer_token`` says who pays.
    """
    body = HoldBody(amount_yen, ttl_seconds, note, wallet_id)
    return _movement("/credit/hold", body, idempotency_key, spends=True, payer_token=payer_token)


def capture(
    hold_id: int,
    amount_yen: int,
    *,
    idempotency_key: str | None = None,
    final: bool = True,
    above: Literal["reject", "up_to_balance"] = "reject",
) -> Call[Outcome]:
    """Spend ``amount_yen`` of a hold and give the rest back, or keep it for later captures (``final=False``).

    ``above`` "up_to_balance" lets whoever made the hold take of the balance what the hold does not cover.
    """
    own = _own_key(f"capture:{hold_id}") if final else None
    return _movement("/credit/capture", CaptureBody(hold_id, amount_yen, final, above), idempotency_key or own)


def release(hold_id: int, *, idempotency_key: str | None = None) -> Call[Outcome]:
    """Give back what is left of a hold."""
    return _movement("/credit/release", ReleaseBody(hold_id), idempotency_key or _own_key(f"release:{hold_id}"))


def extend(hold_id: int, ttl_seconds: int) -> Call[Outcome]:
    """Let a hold last until ``ttl_seconds`` from now, if that is later; 31 days after it was made at most."""
    return Call("POST", "/credit/extend", read_outcome, ExtendBody(hold_id, ttl_seconds))


# Purchases, for sellers


def buy(
    amount_yen: int,
    *,
    idempotency_key: str,
    attempt: str,
    payer_token: str | None = None,
    wallet_id: int | None = None,
    hold_seconds: int | None = None,
    lease_seconds: int = 30,
    free_retries: int = 0,
    note: str | None = None,
) -> Call[PurchaseReply]:
    """Charge or hold the price of a buyer's request, once; the buyer's ``payer_token`` or ``wallet_id`` says who pays.

    The reply's ``purchase_key`` names it in ``serve``, ``renew`` and ``undo``.
    """
    body = BuyBody(amount_yen, attempt, hold_seconds, lease_seconds, free_retries, note, wallet_id)
    key = _own_or_new(idempotency_key)
    return Call("POST", "/credit/purchase", read_as(PurchaseReply), body, idempotency_key=key, payer_token=payer_token)


def serve(wallet_id: int, purchase_key: str, *, attempt: str, forget: bool = False) -> Call[Outcome]:
    """Write down that the buyer was served: the purchase is paid from now on."""
    return Call("POST", "/credit/purchase/serve", read_outcome, ServeBody(wallet_id, purchase_key, attempt, forget))


def renew(wallet_id: int, purchase_key: str, *, attempt: str, lease_seconds: int = 30) -> Call[Outcome]:
    """Keep a purchase, and its hold, for ``lease_seconds`` more."""
    body = RenewBody(wallet_id, purchase_key, attempt, lease_seconds)
    return Call("POST", "/credit/purchase/renew", read_outcome, body)


def undo(wallet_id: int, purchase_key: str, *, attempt: str, reason: str = "not served") -> Call[Outcome]:
    """Give back what a purchase took, if ``attempt`` has it and nobody was served."""
    body = UndoBody(wallet_id, purchase_key, attempt, reason)
    return Call("POST", "/credit/purchase/undo", read_outcome, body)


def refund(
    txn_id: int, amount_yen: int | None = None, *, idempotency_key: str | None = None, note: str | None = None
) -> Call[Outcome]:
    """Give back ``amount_yen`` of a charge, or all that is left of it. For the operator."""
    return _movement("/credit/refund", RefundBody(txn_id, amount_yen, note), idempotency_key)


def operator_topup(
    wallet_id: int,
    amount_yen: int,
    *,
    idempotency_key: str | None = None,
    promo: bool = False,
    expires_at: str | None = None,
    note: str | None = None,
) -> Call[Outcome]:
    """Credit a wallet by hand, paid for or promotional. For the operator."""
    body = OperatorTopupBody(wallet_id, amount_yen, promo, expires_at, note)
    return _movement("/operator/topup", body, idempotency_key)


def charge_batches(charges: Iterable[tuple[int, int, str] | Charge]) -> list[Call[list[Outcome | WalletError]]]:
    """``(wallet_id, amount_yen, idempotency_key)`` each, in batches as large as the service takes. For the operator.

    An item may also be a ``Charge`` with a note. The service knows no agent keys in batches.
    """
    items = [_batch_item(charge) for charge in charges]
    batches = [items[start : start + MAX_BATCH_CHARGES] for start in range(0, len(items), MAX_BATCH_CHARGES)]
    return [Call("POST", "/credit/charge/batch", read_outcomes, BatchBody(batch)) for batch in batches]


def _batch_item(item: tuple[int, int, str] | Charge) -> BatchItem:
    if not isinstance(item, Charge):
        return BatchItem(*item)
    if item.key_id is not None:
        raise InvalidRequest("a charge over HTTP is an agent key's when it is sent with its token", field="key_id")
    return BatchItem(item.wallet_id, item.amount_yen, item.idempotency_key, item.note)


# The wallet


def show_wallet() -> Call[WalletReply]:
    """The wallet with its settings, the spending of its cycle and its latest transactions."""
    return _get("/credit/wallet", read_as(WalletReply))


def configure(
    *,
    label: str | UnsetType = UNSET,
    monthly_budget_yen: int | UnsetType = UNSET,
    budget_mode: BudgetMode | UnsetType = UNSET,
    auto_topup_threshold: int | UnsetType = UNSET,
    auto_topup_amount: int | UnsetType = UNSET,
    low_balance_yen: int | UnsetType = UNSET,
    alert_thresholds_pct: Sequence[int] | UnsetType = UNSET,
    notification_targets: Sequence[WantedTarget] | UnsetType = UNSET,
) -> Call[WalletReply]:
    """Change settings; what is not given stays. For the owner.

    ``notification_targets`` are all of them, others are removed; the secret of a new webhook is shown this once.
    """
    body = SettingsBody(
        label,
        monthly_budget_yen,
        budget_mode,
        auto_topup_threshold,
        auto_topup_amount,
        low_balance_yen,
        UNSET if isinstance(alert_thresholds_pct, UnsetType) else list(alert_thresholds_pct),
        UNSET if isinstance(notification_targets, UnsetType) else _target_bodies(notification_targets),
    )
    shows_secrets = notification_targets is not UNSET
    return Call("PATCH", "/credit/wallet", read_as(WalletReply), body, repeatable=not shows_secrets)


def confirm_target(target_id: int, code: str) -> Call[TargetView]:
    """Give back the code that a mailbox was sent; from now on it gets notices. For the owner."""
    path = f"/credit/notification-targets/{target_id:d}/confirm"
    return Call("POST", path, read_as(TargetView), ConfirmBody(code))


def ask_target_again(target_id: int) -> Call[TargetView]:
    """Send another code to a mailbox that has not been confirmed. For the owner."""
    path = f"/credit/notification-targets/{target_id:d}/ask-again"
    return Call("POST", path, read_as(TargetView), repeatable=False)


def _target_bodies(wanted: Iterable[WantedTarget]) -> list[TargetBody]:
    return [
        TargetBody(**{**structs.asdict(target), "url": target.url or None, "kinds": list(target.kinds)})
        for target in wanted
    ]


def transactions(
    *,
    limit: int = 50,
    cursor: str | None = None,
    type: EntryType | None = None,  # noqa: A002 - the parameter's name in HTTP
    key_id: int | None = None,
    note: str | None = None,
) -> Call[TransactionPage]:
    """A page of ledger entries, newest first; ``limit`` is 1 to 200, ``cursor`` the page before's ``next_cursor``.

    ``type``, ``key_id`` and ``note`` each leave only what has it; a refund has the key and the note of its charge too.
    """
    wanted = {"type": type, "key_id": key_id, "note": note}
    return _get("/credit/transactions", read_as(TransactionPage), limit=limit, cursor=cursor, **wanted)


def transaction(txn_id: int) -> Call[TransactionView]:
    """One ledger entry, with what was given back of it."""
    return _get(f"/credit/transactions/{txn_id:d}", read_as(TransactionView))


def hold_status(hold_id: int) -> Call[HoldView]:
    """A hold and what became of it."""
    return _get(f"/credit/holds/{hold_id:d}", read_as(HoldView))


def lots() -> Call[list[LotView]]:
    """The open lots in the order of spending, each with what is left of it and when that expires."""
    return _get("/credit/lots", read_as(list[LotView]))


def alerts(*, cycle: str | None = None) -> Call[list[Alert]]:
    """The spending alerts that fired, newest first; of every cycle unless one (``YYYY-MM``) is named."""
    return _get("/credit/alerts", read_as(list[Alert]), cycle=cycle)


def statement(*, cycle: str | None = None) -> Call[Statement]:
    """The statement of a cycle (``YYYY-MM``), by default the current one."""
    return _get("/credit/statement", read_as(Statement), cycle=cycle)


def statement_text(
    *,
    cycle: str | None = None,
    format: Literal["text", "csv"] = "text",  # noqa: A002 - the parameter's name in HTTP
    rows: Rows = "entries",
) -> Call[str]:
    """The statement for people, or its ``rows`` as CSV."""
    return _get("/credit/statement", read_text, cycle=cycle, format=format, rows=rows)


def forecast() -> Call[Forecast]:
    """Where spending is heading, and when balance and budget run out."""
    return _get("/credit/forecast", read_as(Forecast))


# Top-ups through the payment provider


def topup(amount_yen: int, *, checkout: bool = False, idempotency_key: str | None = None) -> Call[TopupReply]:
    """Ask for a payment that a person makes, with ``client_secret`` or at ``checkout_url``. For the owner."""
    key = _own_or_new(idempotency_key)
    return Call("POST", "/credit/topup", read_as(TopupReply), TopupBody(amount_yen, checkout), idempotency_key=key)


def topup_status(topup_id: str) -> Call[TopupReply]:
    """A top-up as the payment provider has it now. For the owner."""
    return _get(f"/credit/topups/{quote(topup_id, safe='')}", read_as(TopupReply))


def cancel_topup(topup_id: str) -> Call[TopupReply]:
    """Give up a top-up that nobody has paid. For the owner."""
    return Call("DELETE", f"/credit/topups/{quote(topup_id, safe='')}", read_as(TopupReply))


def topups(*, limit: int = 50) -> Call[TopupPage]:
    """The wallet's top-ups, newest first; ``limit`` is 1 to 200. For the owner."""
    return _get("/credit/topups", read_as(TopupPage), limit=limit)


# Agent keys, all for the owner


def create_key(
    *, label: str | None = None, monthly_cap_yen: int = 0, expires_at: str | None = None
) -> Call[CreatedKey]:
    """A token of its own for an agent, shown this once; ``monthly_cap_yen`` 0 is no cap."""
    return _creation("/credit/keys", read_as(CreatedKey), CreateKeyBody(label, monthly_cap_yen, expires_at))


def keys(*, after: int = 0, limit: int = 1_000) -> Call[list[KeyView]]:
    """The wallet's agent keys with an id above ``after``, by id, and what they have spent; ``limit`` is 1 to 1,000."""
    return _get("/credit/keys", read_as(list[KeyView]), after=after, limit=limit)


def key(key_id: int) -> Call[KeyView]:
    """One agent key."""
    return _get(f"/credit/keys/{key_id:d}", read_as(KeyView))


def revoke_key(key_id: int) -> Call[KeyView]:
    """Revoke an agent key for good and at once."""
    return Call("DELETE", f"/credit/keys/{key_id:d}", read_as(KeyView))


def rotate_key(key_id: int, *, overlap_seconds: int = 3600) -> Call[CreatedKey]:
    """Another token for an agent key; the ones before it work for ``overlap_seconds`` more (up to 31 days)."""
    return _creation(f"/credit/keys/{key_id:d}/rotate", read_as(CreatedKey), RotateBody(overlap_seconds))


# Who is who


def whoami() -> Call[Identity]:
    """Who the client's token is: ``role`` is "owner", "agent", "seller" or "operator", and the ids that go with it.

    Raises ``Unauthorized``. For a program to check its token before it begins.
    """
    return _get("/credit/whoami", read_as(Identity))


def rotate_owner_token(*, overlap_seconds: int = 3600) -> Call[CreatedWallet]:
    """Another owner token; the ones before it work for ``overlap_seconds`` more (up to 31 days). For the owner.

    The client goes on with the token it has: use ``with_token``.
    """
    return _creation("/credit/token/rotate", read_as(CreatedWallet), RotateBody(overlap_seconds))


def replace_owner_token(wallet_id: int, *, overlap_seconds: int = 0) -> Call[CreatedWallet]:
    """Another owner token for a wallet whose token has leaked or is lost. For the operator."""
    path = f"/operator/wallets/{wallet_id:d}/token/rotate"
    return _creation(path, read_as(CreatedWallet), ReplaceTokenBody(overlap_seconds))


def register_secret(
    wallet_id: int, sha256_hex: str, key_id: int | None = None, ends_at: str | None = None
) -> Call[SecretView]:
    """Let a key of the host's own, by its SHA-256, open a wallet as its owner or as an agent key. For the operator."""
    path = f"/operator/wallets/{wallet_id:d}/secrets"
    return Call("POST", path, read_as(SecretView), RegisterSecretBody(sha256_hex, key_id, ends_at))


def secrets(wallet_id: int) -> Call[list[SecretView]]:
    """What opens a wallet beside the current tokens. For the operator."""
    return _get(f"/operator/wallets/{wallet_id:d}/secrets", read_as(list[SecretView]))


def remove_secret(sha256_hex: str) -> Call[SecretView]:
    """Let a registered key, or an earlier token in its overlap, open nothing more. For the operator."""
    path = f"/operator/secrets/{quote(sha256_hex, safe='')}"
    return Call("DELETE", path, read_as(SecretView), repeatable=False)


def create_seller(*, label: str | None = None) -> Call[CreatedSeller]:
    """Somebody who sells to the wallets, and a token that is shown this once. For the operator."""
    return _creation("/operator/sellers", read_as(CreatedSeller), CreateSellerBody(label))


def sellers(*, after: int = 0, limit: int = 100) -> Call[list[SellerView]]:
    """Sellers with an id above ``after``, by id; ``limit`` is 1 to 1,000. For the operator."""
    return _get("/operator/sellers", read_as(list[SellerView]), after=after, limit=limit)


def rotate_seller(seller_id: int, *, overlap_seconds: int = 3600) -> Call[CreatedSeller]:
    """Another token for a seller; the ones before it work for ``overlap_seconds`` more. For the operator."""
    path = f"/operator/sellers/{seller_id:d}/rotate"
    return _creation(path, read_as(CreatedSeller), RotateBody(overlap_seconds))


def revoke_seller(seller_id: int) -> Call[SellerView]:
    """Revoke a seller for good. For the operator."""
    return Call("DELETE", f"/operator/sellers/{seller_id:d}", read_as(SellerView))


# The operator's wallets


def create_wallet(
    *,
    label: str | None = None,
    monthly_budget_yen: int = 0,
    budget_mode: BudgetMode = "alert",
    auto_topup_threshold: int = 0,
    auto_topup_amount: int = 0,
    time_zone: str = "UTC",
) -> Call[CreatedWallet]:
    """A new, empty wallet and its owner token, shown this once."""
    body = CreateWalletBody(label, monthly_budget_yen, budget_mode, auto_topup_threshold, auto_topup_amount, time_zone)
    return _creation("/operator/wallets", read_as(CreatedWallet), body)


def wallets(*, after: int = 0, limit: int = 100) -> Call[list[WalletView]]:
    """Wallets with an id above ``after``, by id; ``limit`` is 1 to 1,000."""
    return _get("/operator/wallets", read_as(list[WalletView]), after=after, limit=limit)


def wallet_of(wallet_id: int) -> Call[WalletView]:
    """One wallet, for the operator."""
    return _get(f"/operator/wallets/{wallet_id:d}", read_as(WalletView))


def enable(wallet_id: int, *, enabled: bool) -> Call[WalletView]:
    """Let a wallet spend, or stop it."""
    path = f"/operator/wallets/{wallet_id:d}/enabled"
    return Call("POST", path, read_as(WalletView), EnabledBody(enabled))


def latest_seal() -> Call[Anchor]:
    """The latest seal, to be noted elsewhere. For the operator. Raises ``SealNotFound`` before the first."""
    return _get("/operator/seal", read_as(Anchor))


def operator_targets() -> Call[list[TargetView]]:
    """Where notices of all wallets go, for the operator."""
    return _get("/operator/notification-targets", read_as(list[TargetView]))


def set_operator_targets(wanted: Iterable[WantedTarget]) -> Call[list[TargetView]]:
    """Send notices of all wallets there and nowhere else; the secrets of new webhooks are shown this once."""
    body = TargetsBody(_target_bodies(wanted))
    return Call("PUT", "/operator/notification-targets", read_as(list[TargetView]), body, repeatable=False)


def pay_back(topup_id: str, amount_yen: int, *, idempotency_key: str | None = None) -> Call[TopupReply]:
    """Pay ``amount_yen`` of a top-up's unused credit back to its card, where that is allowed. For the operator."""
    path = f"/operator/topups/{quote(topup_id, safe='')}/pay-back"
    return Call(
        "POST", path, read_as(TopupReply), PayBackBody(amount_yen), idempotency_key=_own_or_new(idempotency_key)
    )


# The service


def alive() -> Call[Health]:
    """Whether the process answers."""
    return _get("/healthz", read_as(Health))


def ready() -> Call[Health]:
    """Whether a charge would be taken; the refusal says what is wrong."""
    return _get("/readyz", read_as(Health))


def metrics() -> Call[str]:
    """Figures in Prometheus' text format."""
    return _get("/metrics", read_text)


def _get(path: str, read: Callable[[Answer], T], **params: str | int | None) -> Call[T]:
    given = {name: value for name, value in params.items() if value is not None}
    return Call("GET", path, read, params=given)


def _creation(path: str, read: Callable[[Answer], T], body: Body) -> Call[T]:
    """Has no idempotency key, so that sending it twice makes two."""
    return Call("POST", path, read, body, repeatable=False)


def _movement(
    path: str, body: Body, idempotency_key: str | None, *, spends: bool = False, payer_token: str | None = None
) -> Call[Outcome]:
    key = _own_or_new(idempotency_key)
    return Call("POST", path, read_outcome, body, idempotency_key=key, spends=spends, payer_token=payer_token)


def _own_key(what: str) -> str:
    """The same in all of this process, so that what is done once is not done twice; nobody can guess it beforehand."""
    return f"{what}:{_PROCESS}"


def _own_or_new(idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return new_idempotency_key()
    if is_idempotency_key(idempotency_key) and idempotency_key.isascii():
        return idempotency_key
    raise InvalidRequest(
        f"idempotency_key must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters",
        field="idempotency_key",
    )
