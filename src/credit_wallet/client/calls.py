"""A call of the service as a value: what is sent, and how its response is read. Pure.

A call that moves money has an idempotency key: the caller's, or a new UUIDv7. Every retry sends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from msgspec import UNSET, Struct, UnsetType, json, structs

from credit_wallet.client.responses import Response, read_as, read_outcome, read_outcomes
from credit_wallet.domain.actors import OPERATOR
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH, Charge
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.notices.targets import WantedTarget
from credit_wallet.payments.replies import TopupReply
from credit_wallet.rules.budget_requests import Limit, checked_yen
from credit_wallet.rules.metadata import checked_metadata, checked_reference
from credit_wallet.rules.names import checked_request_id
from credit_wallet.rules.usage import Amount, asked_for, checked_amount, checked_change
from credit_wallet.rules.validation import is_idempotency_key
from credit_wallet.wire.bodies import MAX_BATCH_CHARGES, BatchBody, BatchItem, Body, TargetBody
from credit_wallet.wire.mirrored import mirrored
from credit_wallet.wire.replies import WalletReply

T = TypeVar("T")

_PROCESS = token_hex(8)


class Call(Struct, Generic[T], frozen=True):
    """One request. ``repeatable``: sending it twice has the effect of sending it once.

    ``spends``: an empty wallet refuses it, and a top-up helps.
    """

    method: str
    path: str
    read: Callable[[Response], T]
    body: Body | None = None
    params: Mapping[str, str | int] = {}
    idempotency_key: str | None = None
    repeatable: bool = True
    spends: bool = False
    payer_token: str | None = None
    request_id: str | None = None

    def content(self) -> bytes | None:
        """The bytes of the body, if it has one."""
        return None if self.body is None else json.encode(self.body)


def get(path: str, read: Callable[[Response], T], **params: str | int | None) -> Call[T]:
    """Read something; a parameter that is None is left out."""
    return Call("GET", path, read, params={name: value for name, value in params.items() if value is not None})


def create(path: str, read: Callable[[Response], T], body: Body, *, repeatable: bool = False) -> Call[T]:
    """Create something without an idempotency key: unless ``repeatable``, sending it twice creates two."""
    return Call("POST", path, read, body, repeatable=repeatable)


def move(
    path: str,
    body: Body,
    idempotency_key: str | None,
    request_id: str | None = None,
    *,
    spends: bool = False,
    payer_token: str | None = None,
) -> Call[Outcome]:
    """Move money."""
    return Call(
        "POST",
        path,
        read_outcome,
        body,
        idempotency_key=checked_or_new(idempotency_key),
        spends=spends,
        payer_token=payer_token,
        request_id=checked_request_id(request_id),
    )


def show_wallet() -> Call[WalletReply]:
    """The wallet that the token opens."""
    return get("/credit/wallet", read_as(WalletReply))


def show_topup(topup_id: str) -> Call[TopupReply]:
    """One top-up."""
    return get(f"/credit/topups/{segment(topup_id)}", read_as(TopupReply))


def at_wallet(call: Call[T], wallet_id: int) -> Call[T]:
    """An owner's call, of an operator about a wallet."""
    return structs.replace(call, path=mirrored(call.path, f"{wallet_id:d}"))


def sold(
    amount_yen: Amount | None,
    item: str | None,
    quantity: Amount | None,
    facts: Mapping[str, str] | None,
    agent_facts: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What a body says of a price. Raises ``InvalidAmount`` and ``InvalidRequest`` for what no service would take."""
    asked_for(amount_yen, item, quantity, facts, agent_facts, OPERATOR)
    given: dict[str, Any] = {
        "amount_yen": None if amount_yen is None else sent_exactly(amount_yen),
        "item": item,
        "quantity": None if quantity is None else sent_exactly(quantity),
        "facts": dict(facts) if facts else None,
        "agent_facts": dict(agent_facts) if agent_facts else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def named(reference: str | None, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """What a body says of what a movement is called. Raises ``InvalidRequest``."""
    pairs = dict(checked_metadata(metadata))
    return {"reference": checked_reference(reference), "metadata": pairs or None}


def sent_exactly(amount: Amount) -> int | str:
    """An amount as it is sent: whole yen as a number, others as a decimal string. Raises ``InvalidAmount``."""
    return _in_json(checked_amount(amount))


def sent_change(amount: Amount) -> int | str:
    """The same for an amount that may be below zero."""
    return _in_json(checked_change(amount))


def sent_limit(field: str, limit: Limit | UnsetType) -> int | str | UnsetType:
    """A limit in yen as it is sent, 0 included; not at all when it is not given. Raises ``InvalidRequest``."""
    return UNSET if isinstance(limit, UnsetType) else _in_json(checked_yen(field, limit))


def sent_limit_or_null(field: str, limit: Limit | UnsetType | None) -> int | str | UnsetType | None:
    """The same for a limit that may be null."""
    return None if limit is None else sent_limit(field, limit)


def _in_json(micros: int) -> int | str:
    return decimal_text(micros) if micros % MICROS else micros // MICROS


def charge_batches(charges: Iterable[tuple[int, Amount, str] | Charge]) -> list[Call[list[Outcome | WalletError]]]:
    """``(wallet_id, amount_yen, idempotency_key)`` or a ``Charge`` each, in batches as large as the service accepts."""
    items = [_batch_item(charge) for charge in charges]
    batches = [items[start : start + MAX_BATCH_CHARGES] for start in range(0, len(items), MAX_BATCH_CHARGES)]
    return [Call("POST", "/credit/charge/batch", read_outcomes, BatchBody(batch)) for batch in batches]


def _batch_item(item: tuple[int, Amount, str] | Charge) -> BatchItem:
    if not isinstance(item, Charge):
        wallet_id, amount_yen, key = item
        return BatchItem(wallet_id=wallet_id, idempotency_key=key, **sold(amount_yen, None, None, None, None))
    if item.key_id is not None:
        raise InvalidRequest("a batch cannot charge for an agent key; send the charge with its token", field="key_id")
    usage = item.usage or Usage()
    asked: dict[str, Any] = {"facts": dict(usage.facts), "agent_facts": dict(usage.agent_facts)}
    if usage.item is None:
        asked["amount_yen"] = _in_json(item.amount_micros)
    else:
        asked |= {"item": usage.item, "quantity": _in_json(usage.quantity_micros)}
    given = {name: value for name, value in asked.items() if value != {}}
    names = item.names or Names()
    return BatchItem(
        wallet_id=item.wallet_id,
        idempotency_key=item.idempotency_key,
        note=item.note,
        request_id=checked_request_id(names.request_id),
        **named(names.reference, dict(names.metadata)),
        **given,
    )


def target_bodies(targets: Iterable[WantedTarget]) -> list[TargetBody]:
    """The targets as the service takes them."""
    return [
        TargetBody(**{**structs.asdict(target), "url": target.url or None, "kinds": list(target.kinds)})
        for target in targets
    ]


def segment(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")


def key_of_this_process(action: str) -> str:
    """An idempotency key that is the same for ``action`` in all of this process, and that nobody else can guess."""
    return f"{action}:{_PROCESS}"


def checked_or_new(idempotency_key: str | None) -> str:
    """The caller's idempotency key, or a new one. Raises ``InvalidRequest``."""
    if idempotency_key is None:
        return new_idempotency_key()
    if is_idempotency_key(idempotency_key) and idempotency_key.isascii():
        return idempotency_key
    raise InvalidRequest(
        f"idempotency_key must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters",
        field="idempotency_key",
    )
