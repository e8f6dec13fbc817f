"""The detail of a ledger entry, as JSON: what its whole yen leave out, and what it was for. Absent when it is empty."""

from __future__ import annotations

from msgspec import Struct, json, structs

from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.names import Names
from credit_wallet.domain.usage import Usage


class EntryDetail(Struct, frozen=True, omit_defaults=True):
    """``micros`` is the exact amount, None when it is ``amount_yen``; ``fraction`` are the micros of the ledger balance
    beyond its whole yen. ``quantity`` is in millionths of a unit. What follows the facts is what it is called.
    """

    micros: int | None = None
    fraction: int = 0
    item: str | None = None
    quantity: int = 0
    price_version: int | None = None
    facts: dict[str, str] | None = None
    agent_facts: dict[str, str] | None = None
    reason: CorrectionReason | None = None
    """Of an adjustment."""
    request_id: str | None = None
    reference: str | None = None
    metadata: dict[str, str] | None = None
    idempotency_key: str | None = None


_decoder = json.Decoder(EntryDetail)
NO_DETAIL = EntryDetail()
NO_NAMES = Names()


def format_detail(
    micros: int | None,
    fraction: int,
    usage: Usage | None,
    reason: CorrectionReason | None = None,
    names: Names | None = None,
) -> str:
    """As the ledger stores it."""
    if names is not None:
        is_empty = micros is None and not fraction and usage is None and reason is None
        return with_names("{}" if is_empty else format_detail(micros, fraction, usage, reason), names)
    if reason is not None:
        return json.encode(EntryDetail(micros, fraction, reason=reason)).decode()
    if usage is None:
        if micros is None:
            return f'{{"fraction":{fraction}}}'
        return f'{{"micros":{micros},"fraction":{fraction}}}' if fraction else f'{{"micros":{micros}}}'
    return json.encode(
        EntryDetail(
            micros,
            fraction,
            usage.item,
            usage.quantity_micros,
            usage.price_version,
            dict(usage.facts) or None,
            dict(usage.agent_facts) or None,
        )
    ).decode()


def with_names(detail: str, names: Names) -> str:
    """``detail``, which has none yet, with names."""
    named = json.encode(
        EntryDetail(
            request_id=names.request_id,
            reference=names.reference,
            metadata=dict(names.metadata) or None,
            idempotency_key=names.idempotency_key,
        )
    ).decode()
    return named if detail == "{}" else f"{detail[:-1]},{named[1:]}"


def without_names(detail: str | None) -> str | None:
    """``detail`` as it would be had nobody named it; None when nothing else is in it."""
    known = parse_detail(detail)
    rest = structs.replace(known, request_id=None, reference=None, metadata=None, idempotency_key=None)
    return None if rest == NO_DETAIL else json.encode(rest).decode()


class UsageForm(Struct, frozen=True):
    """What ``format_detail`` writes of a usage, for entries that differ in amount and quantity alone."""

    item: str
    rest: str

    def text(self, micros: int | None, fraction: int, quantity_micros: int) -> str:
        """The same as ``format_detail``."""
        exact = "" if micros is None else f'"micros":{micros},'
        beyond = f'"fraction":{fraction},' if fraction else ""
        quantity = f'"quantity":{quantity_micros},' if quantity_micros else ""
        return f"{{{exact}{beyond}{self.item}{quantity}{self.rest}"


def usage_form(usage: Usage, price_version: int | None) -> UsageForm:
    """Of a usage that has facts, or an item priced by ``price_version``."""
    facts, agent_facts = dict(usage.facts) or None, dict(usage.agent_facts) or None
    rest = json.encode(EntryDetail(price_version=price_version, facts=facts, agent_facts=agent_facts)).decode()
    item = "" if usage.item is None else f'"item":{json.encode(usage.item).decode()},'
    return UsageForm(item, rest.removeprefix("{"))


def parse_detail(text: str | None) -> EntryDetail:
    """The reverse of ``format_detail``; an entry without detail says nothing beyond its whole yen."""
    return NO_DETAIL if text is None else _decoder.decode(text)


def exact_micros(amount_yen: int, detail: EntryDetail) -> int:
    """The exact amount of an entry, with its sign."""
    return amount_yen * MICROS if detail.micros is None else detail.micros


def usage_of(detail: EntryDetail) -> Usage | None:
    """What an entry was for, None when its detail does not say it."""
    facts, agent_facts = detail.facts or {}, detail.agent_facts or {}
    if detail.item is None and not facts and not agent_facts:
        return None
    return Usage(detail.item, detail.quantity, tuple(facts.items()), tuple(agent_facts.items()), detail.price_version)


def names_of(detail: EntryDetail) -> Names | None:
    """What an entry is called, None when its detail does not say it."""
    names = Names(detail.request_id, detail.reference, tuple((detail.metadata or {}).items()), detail.idempotency_key)
    return None if names == NO_NAMES else names
