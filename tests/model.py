"""A naive ledger: the rules of money written a second time, slowly and without cleverness, to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

THRESHOLDS = (50, 80, 100)


@dataclass
class ModelLot:
    number: int
    promo: bool
    expires: datetime | None
    yen: int


@dataclass
class ModelHold:
    key: int | None
    yen: int
    parts: list[tuple[ModelLot, int]]
    expires: datetime
    status: str = "open"


@dataclass
class ModelCharge:
    yen: int
    parts: list[tuple[ModelLot, int]]
    refunded: int = 0


@dataclass
class ModelTopup:
    yen: int
    lot: ModelLot
    reversed: int = 0


@dataclass
class ModelKey:
    cap: int
    spent: dict[str, int] = field(default_factory=dict)
    revoked: bool = False


class Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ModelWallet:
    """One wallet. Every method either moves money or raises ``Refused`` with the expected code."""

    def __init__(self) -> None:
        self.enabled = True
        self.budget = 0
        self.cap = False
        self.debt = 0
        self.lots: list[ModelLot] = []
        self.holds: list[ModelHold] = []
        self.keys: list[ModelKey] = []
        self.spent: dict[str, int] = {}
        self.alerted: dict[str, set[int]] = {}

    @property
    def balance(self) -> int:
        return sum(lot.yen for lot in self.lots)

    @property
    def held(self) -> int:
        return sum(hold.yen for hold in self.holds if hold.status == "open")

    def open_lots(self) -> list[ModelLot]:
        """In spending order: gifts first, what lapses sooner first, older first."""
        lots = [lot for lot in self.lots if lot.yen]
        return sorted(
            lots, key=lambda lot: (not lot.promo, lot.expires.isoformat() if lot.expires else "~", lot.number)
        )

    def settle(self, now: datetime) -> None:
        """What has fallen due by ``now`` happens before anything else."""
        for hold in sorted(self.holds, key=lambda hold: hold.expires):
            if hold.status == "open" and hold.expires <= now:
                hold.status = "expired"
                self._give_back(hold.parts)
        self._lapse(now)

    def topup(self, yen: int, promo: bool, expires: datetime | None, now: datetime) -> ModelTopup:
        lot = ModelLot(len(self.lots), promo, expires, yen)
        self.lots.append(lot)
        self._lapse(now)
        return ModelTopup(yen, lot)

    def charge(self, yen: int, key: int | None, now: datetime) -> ModelCharge:
        self._may_spend(yen, key, now)
        parts = self._take(yen)
        self._count(yen, key, now)
        return ModelCharge(yen, parts)

    def hold(self, yen: int, key: int | None, seconds: int, now: datetime) -> ModelHold:
        self._may_spend(yen, key, now)
        hold = ModelHold(key, yen, self._take(yen), now + timedelta(seconds=seconds))
        self.holds.append(hold)
        return hold

    def capture(self, hold: ModelHold, yen: int, now: datetime) -> ModelCharge:
        self._must_be_open(hold)
        if yen > hold.yen:
            raise Refused("invalid_amount")
        hold.status = "captured"
        used, rest = _split(hold.parts, yen)
        self._count(yen, hold.key, now)
        self._give_back(rest)
        self._lapse(now)
        return ModelCharge(yen, used)

    def release(self, hold: ModelHold, now: datetime) -> None:
        self._must_be_open(hold)
        hold.status = "released"
        self._give_back(hold.parts)
        self._lapse(now)

    def refund(self, charge: ModelCharge, yen: int | None, now: datetime) -> int:
        left = charge.yen - charge.refunded
        yen = left if yen is None else yen
        if not 0 < yen <= left:
            raise Refused("refund_exceeds_charge")
        _, open_parts = _split(charge.parts[::-1], charge.refunded)
        charge.refunded += yen
        self._give_back(_split(open_parts, yen)[0])
        self._lapse(now)
        return yen

    def reverse(self, topup: ModelTopup, yen: int) -> int:
        if yen > topup.yen - topup.reversed:
            raise Refused("refund_exceeds_charge")
        topup.reversed += yen
        taken = min(yen, self.balance)
        self.debt += yen - taken
        own = min(topup.lot.yen, taken)
        topup.lot.yen -= own
        self._take(taken - own)
        return taken

    def _may_spend(self, yen: int, key: int | None, now: datetime) -> None:
        cycle = f"{now:%Y-%m}"
        payer = None if key is None else self.keys[key]
        if payer is not None and payer.revoked:
            raise Refused("unauthorized")
        if not self.enabled:
            raise Refused("wallet_disabled")
        if self.cap and self.budget and self.spent.get(cycle, 0) + self.held + yen > self.budget:
            raise Refused("budget_exhausted")
        if payer is not None and payer.cap:
            held = sum(hold.yen for hold in self.holds if hold.status == "open" and hold.key == key)
            if payer.spent.get(cycle, 0) + held + yen > payer.cap:
                raise Refused("key_cap_exhausted")
        if yen > self.balance:
            raise Refused("insufficient_funds")

    def _count(self, yen: int, key: int | None, now: datetime) -> None:
        cycle = f"{now:%Y-%m}"
        self.spent[cycle] = self.spent.get(cycle, 0) + yen
        if key is not None:
            self.keys[key].spent[cycle] = self.keys[key].spent.get(cycle, 0) + yen
        self._alert(cycle)

    def run_alert_job(self, now: datetime) -> None:
        """What the hourly job fires: thresholds that a lowered budget has put behind the spending."""
        if self.enabled:
            self._alert(f"{now:%Y-%m}")

    def _alert(self, cycle: str) -> None:
        if self.budget:
            reached = self.spent.get(cycle, 0) * 100 // self.budget
            fired = self.alerted.setdefault(cycle, set())
            fired.update(threshold for threshold in THRESHOLDS if threshold <= reached)

    def _take(self, yen: int) -> list[tuple[ModelLot, int]]:
        parts = []
        for lot in self.open_lots():
            part = min(lot.yen, yen)
            lot.yen -= part
            yen -= part
            parts.append((lot, part))
        assert yen == 0
        return parts

    def _give_back(self, parts: list[tuple[ModelLot, int]]) -> None:
        for lot, yen in parts:
            lot.yen += yen

    def _lapse(self, now: datetime) -> None:
        """Expired lots are worth nothing; debt is repaid from whatever credit there is."""
        for lot in self.lots:
            if lot.expires is not None and lot.expires <= now:
                lot.yen = 0
        repaid = min(self.debt, self.balance)
        self.debt -= repaid
        self._take(repaid)

    @staticmethod
    def _must_be_open(hold: ModelHold) -> None:
        if hold.status != "open":
            raise Refused("hold_closed")


def _split(
    parts: list[tuple[ModelLot, int]], yen: int
) -> tuple[list[tuple[ModelLot, int]], list[tuple[ModelLot, int]]]:
    first, rest = [], []
    for lot, part in parts:
        here = min(part, yen)
        yen -= here
        first.append((lot, here))
        rest.append((lot, part - here))
    return first, rest
