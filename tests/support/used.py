"""Entries as the ledger writes them at any moment, with what they are for, and what is to be remembered of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from msgspec import json
from plain_sql import PlainSql

from credit_wallet.domain.money import MICROS

TOOLS, MODELS, ITEMS, KEYS = ("search", "fetch", "メモ"), ("m-1", "m-2"), ("tokens.input", "search"), (7, 8, None)

INSERT = """
INSERT INTO am_credit_transaction_log
       (wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, key_id, related_txn_id, detail)
VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)
RETURNING txn_id
"""


class Entry(NamedTuple):
    """A charge or a refund as the naive sums see it, with what its charge was for."""

    txn_id: int
    wallet: int
    at: datetime
    charges: int
    amount_micros: int
    refunded_micros: int
    item: str | None
    quantity_micros: int
    values: dict[str, str]
    """By dimension; those of facts as figures go by them."""


class Book:
    """Writes entries as the ledger writes them, and remembers them."""

    def __init__(self, url: str, random: Random) -> None:
        self.sql, self._random = PlainSql(url), random
        self.entries: list[Entry] = []
        self.zones: dict[int, str] = {}
        self._number = 0

    def close(self) -> None:
        self.sql.__exit__()

    def add_wallet(self, zone: str) -> int:
        wallet = self.sql.wallet()
        self.sql.run("UPDATE am_credit_wallet SET time_zone = ? WHERE wallet_id = ?", zone, wallet)
        self.zones[wallet] = zone
        return wallet

    def charge(self, wallet: int, at: datetime, **said: Any) -> Entry:
        micros, item, quantity = said.get("micros", MICROS), said.get("item"), said.get("quantity", 0)
        facts, agent_facts = said.get("facts", {}), said.get("agent_facts", {})
        detail: dict[str, Any] = {} if micros % MICROS == 0 and micros else {"micros": -micros}
        if item is not None:
            detail |= {"item": item, "quantity": quantity}
        detail |= {"facts": facts} if facts else {}
        detail |= {"agent_facts": agent_facts} if agent_facts else {}
        key_id = said.get("key_id")
        values = {**agent_facts, **facts}
        values |= {".item": item} if item else {}
        values |= {".key": str(key_id)} if key_id else {}
        txn_id = self._insert(wallet, -(micros // MICROS), "charge", at, key_id, None, detail)
        entry = Entry(txn_id, wallet, at, 1, micros, 0, item, quantity if item else 0, values)
        self.entries.append(entry)
        return entry

    def refund(self, charge: Entry, at: datetime, micros: int) -> None:
        detail = {} if micros % MICROS == 0 and micros else {"micros": micros}
        txn_id = self._insert(charge.wallet, micros // MICROS, "refund", at, None, charge.txn_id, detail)
        self.entries.append(
            charge._replace(txn_id=txn_id, at=at, charges=0, amount_micros=0, refunded_micros=micros, quantity_micros=0)
        )

    def anything(self) -> None:
        """A random charge, refund or top-up at a random moment."""
        random = self._random
        wallet = random.choice(list(self.zones))
        at = datetime(2026, 3, 25, tzinfo=UTC) + timedelta(milliseconds=random.randrange(50 * 86_400_000))
        charges = [entry for entry in self.entries if entry.charges and entry.wallet == wallet]
        if charges and random.random() < 0.2:
            self.refund(random.choice(charges), at, random.choice([MICROS, 1, 3_300_001]))
            return
        if random.random() < 0.1:
            self._insert(wallet, 100, "topup", at, None, None, {})
            return
        facts = {"tool": random.choice(TOOLS)} if random.random() < 0.7 else {}
        agent_facts = {"model": random.choice(MODELS), "tool": "theirs"} if random.random() < 0.4 else {}
        if random.random() < 0.3:
            agent_facts["run"] = f"run {random.randrange(1_000)}"
        self.charge(
            wallet,
            at,
            micros=random.choice([0, 1, 300, 3_300_000, 5 * MICROS, 10**12 * MICROS]),
            item=random.choice((*ITEMS, None)),
            quantity=random.choice([1, MICROS, 1_500_000, 10**18]),
            facts=facts,
            agent_facts=agent_facts,
            key_id=random.choice(KEYS),
        )

    def _insert(
        self,
        wallet: int,
        amount_yen: int,
        txn_type: str,
        at: datetime,
        key_id: int | None,
        related: int | None,
        detail: dict[str, Any],
    ) -> int:
        self._number += 1
        text = json.encode(detail).decode() if detail else ("{}" if amount_yen == 0 else None)
        written = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
        values = (wallet, amount_yen, txn_type, written, self._number, key_id, related, text)
        [(txn_id,)] = self.sql.run(INSERT, *values)
        return int(txn_id)
