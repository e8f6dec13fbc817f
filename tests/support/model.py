"""A naive ledger: the rules of money written a second time, slowly and without cleverness, to compare with.

Its amounts are yen as exact decimals.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from model_values import ZERO, ModelCharge, ModelHold, ModelKey, ModelLot, ModelPurchase, ModelTopup, Refused

THRESHOLDS = (50, 80, 100)
LONGEST_HOLD = timedelta(days=31)


class ModelWallet:
    """One wallet. Every method either moves money or raises ``Refused`` with the expected code."""

    def __init__(self) -> None:
        self.enabled = True
        self.budget = 0
        self.cap = False
        self.debt = ZERO
        self.lots: list[ModelLot] = []
        self.holds: list[ModelHold] = []
        self.purchases: dict[str, ModelPurchase] = {}
        self.keys: list[ModelKey] = []
        self.spent: dict[str, Decimal] = {}
        self.alerted: dict[str, set[int]] = {}

    @property
    def balance(self) -> Decimal:
        return sum((lot.yen for lot in self.lots), ZERO)

    @property
    def held(self) -> Decimal:
        return sum((hold.left for hold in self.holds if hold.status == "open"), ZERO)

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
                self._lapse(hold.expires)
                if hold.served:
                    self._spend(hold, hold.left, ZERO, now)
                else:
                    self._return(hold, "expired")
                    self._lapse(hold.expires)  # what came back repays a debt then, even if it has lapsed since
        self._lapse(now)

    def topup(self, yen: Decimal, promo: bool, expires: datetime | None, now: datetime) -> ModelTopup:
        lot = ModelLot(len(self.lots), promo, expires, yen)
        self.lots.append(lot)
        self._lapse(now)
        return ModelTopup(yen, lot)

    def charge(self, yen: Decimal, key: int | None, now: datetime) -> ModelCharge:
        self._may_spend(yen, key, now)
        parts = self._take(yen)
        self._count(yen, key, now)
        return ModelCharge(yen, parts)

    def hold(self, yen: Decimal, key: int | None, seconds: int, now: datetime, closer: str = "operator") -> ModelHold:
        self._may_spend(yen, key, now)
        hold = ModelHold(key, yen, self._take(yen), now, now + timedelta(seconds=seconds), closer)
        self.holds.append(hold)
        return hold

    def capture(
        self, hold: ModelHold, yen: Decimal, now: datetime, *, final: bool, above: str, actor: str
    ) -> ModelCharge:
        """As ``CreditWallet.capture`` without an agent key, for every ``above``."""
        self._must_be_open(hold, actor)
        inside = min(yen, hold.left)
        beyond = yen - inside
        if beyond and (above == "reject" or actor == "payer"):
            raise Refused("invalid_amount")
        beyond = min(beyond, self._room(hold.key, now))
        stays_open = not final and above == "up_to_balance"
        return self._spend(hold, inside, beyond, now, final=final, stays_open=stays_open)

    def release(self, hold: ModelHold, now: datetime, actor: str) -> None:
        self._must_be_open(hold, actor)
        self._return(hold, "released")
        self._lapse(now)

    def extend(self, hold: ModelHold, seconds: int, now: datetime, actor: str) -> None:
        self._must_be_open(hold, actor)
        self._prolong(hold, seconds, now)

    # Purchases

    def buy(
        self,
        name: str,
        attempt: str,
        yen: Decimal,
        key: int | None,
        hold_seconds: int | None,
        lease_seconds: int,
        free_retries: int,
        now: datetime,
    ) -> tuple[str, ModelPurchase]:
        """Whether it was "paid" now, is "free", or goes on as "taken over"."""
        purchase = self.purchases.get(name)
        request = (yen, hold_seconds is not None, key)
        lease = now + timedelta(seconds=lease_seconds)
        if purchase is not None and purchase.request != request:
            raise Refused("idempotency_conflict")
        if purchase is None or purchase.status == "undone" or purchase.given_back:
            charge = self.charge(yen, key, now) if hold_seconds is None else None
            hold = None if hold_seconds is None else self.hold(yen, key, hold_seconds, now, "product")
            self.purchases[name] = ModelPurchase(request, attempt, lease, charge, hold)
            return "paid", self.purchases[name]
        if purchase.status == "served" or purchase.captured:
            if purchase.free >= free_retries:
                raise Refused("retries_exhausted")
            purchase.free += 1
            return "free", purchase
        if purchase.attempt != attempt and now < purchase.lease:
            raise Refused("purchase_running")
        purchase.attempt, purchase.lease = attempt, max(purchase.lease, lease)
        if purchase.hold is not None and purchase.hold.status == "open":
            self._prolong(purchase.hold, hold_seconds or lease_seconds, now)
        return "taken over", purchase

    def serve(self, name: str, forget: bool, now: datetime) -> None:
        purchase = self._purchase(name)
        hold = purchase.hold
        if purchase.status != "served":
            if hold is not None and hold.status == "open":
                hold.served = True
            elif hold is not None and hold.status != "captured":
                hold.served = True
                self._spend(hold, ZERO, hold.left, now)
            elif hold is None and purchase.status == "undone":
                purchase.charge = self._take_or_owe(purchase.request[0], purchase.request[2], now)
            purchase.status = "served"
        if forget:
            del self.purchases[name]

    def renew(self, name: str, attempt: str, seconds: int, now: datetime) -> None:
        purchase = self._purchase(name)
        if purchase.attempt != attempt:
            raise Refused("purchase_running")
        if purchase.status != "undone":
            purchase.lease = max(purchase.lease, now + timedelta(seconds=seconds))
            if purchase.hold is not None and purchase.hold.status == "open":
                self._prolong(purchase.hold, seconds, now)

    def undo(self, name: str, attempt: str, now: datetime) -> None:
        purchase = self._purchase(name)
        if purchase.status != "running" or purchase.attempt != attempt:
            return
        if purchase.captured:
            purchase.status = "served"
            return
        if purchase.charge is not None and not purchase.given_back:
            self.refund(purchase.charge, None, now)
        if purchase.hold is not None and purchase.hold.status == "open":
            self.release(purchase.hold, now, "product")
        purchase.status = "undone"

    def undo_abandoned(self, after: timedelta, now: datetime) -> None:
        for name, purchase in self.purchases.items():
            if purchase.status == "running" and purchase.lease < now - after:
                self.undo(name, purchase.attempt, now)

    def _purchase(self, name: str) -> ModelPurchase:
        if name not in self.purchases:
            raise Refused("purchase_not_found")
        return self.purchases[name]

    def _take_or_owe(self, yen: Decimal, key: int | None, now: datetime) -> ModelCharge | None:
        """Charge for what was delivered: nothing speaks against it, and what the balance lacks is owed."""
        taken = min(yen, self.balance)
        self.debt += yen - taken
        if not taken:
            return None
        charge = ModelCharge(taken, self._take(taken))
        self._count(taken, key, now)
        return charge

    # Holds

    def _spend(
        self,
        hold: ModelHold,
        inside: Decimal,
        beyond: Decimal,
        now: datetime,
        *,
        final: bool = True,
        stays_open: bool = False,
    ) -> ModelCharge:
        """Spend yen of a hold and beyond it, and give back what is left, unless more is to come."""
        was_open = hold.status == "open"
        used, hold.parts = _split(hold.parts, inside)
        hold.captured += inside
        if final or not was_open or not (hold.left or stays_open):
            hold.status = "captured"
            if was_open:
                self._give_back(hold.parts)
        taken = min(beyond, self.balance)
        self.debt += beyond - taken
        used = used + self._take(taken)
        if inside + taken:
            self._count(inside + taken, hold.key, now)
        self._lapse(now)
        return ModelCharge(inside + taken, used)

    def _return(self, hold: ModelHold, status: str) -> None:
        hold.status = status if hold.left or not hold.captured else "captured"
        self._give_back(hold.parts)

    def _prolong(self, hold: ModelHold, seconds: int, now: datetime) -> None:
        hold.expires = max(hold.expires, min(now + timedelta(seconds=seconds), hold.made + LONGEST_HOLD))

    def _room(self, key: int | None, now: datetime) -> Decimal:
        """What a capture may take beyond its hold."""
        if not self.enabled:
            return ZERO
        cycle, rooms = f"{now:%Y-%m}", [self.balance]
        if self.cap and self.budget:
            rooms.append(self.budget - self.spent.get(cycle, ZERO) - self.held)
        if key is not None and self.keys[key].cap:
            rooms.append(self.keys[key].cap - self.keys[key].spent.get(cycle, ZERO) - self._held_by(key))
        return max(ZERO, min(rooms))

    def _held_by(self, key: int | None) -> Decimal:
        return sum((hold.left for hold in self.holds if hold.status == "open" and hold.key == key), ZERO)

    def refund(self, charge: ModelCharge, yen: Decimal | None, now: datetime) -> Decimal:
        left = charge.yen - charge.refunded
        yen = left if yen is None else yen
        if not 0 < yen <= left:
            raise Refused("refund_exceeds_charge")
        _, open_parts = _split(charge.parts[::-1], charge.refunded)
        charge.refunded += yen
        self._give_back(_split(open_parts, yen)[0])
        self._lapse(now)
        return yen

    def reverse(self, topup: ModelTopup, yen: Decimal) -> Decimal:
        if yen > topup.yen - topup.reversed:
            raise Refused("refund_exceeds_charge")
        topup.reversed += yen
        taken = min(yen, self.balance)
        self.debt += yen - taken
        own = min(topup.lot.yen, taken)
        topup.lot.yen -= own
        self._take(taken - own)
        return taken

    def adjust(self, yen: Decimal, kind: str | None, allow_debt: bool, now: datetime) -> ModelTopup | None:
        """Up, a lot; down, from lots in the order of spending or of one kind, with ``allow_debt`` all there is."""
        if yen > 0:
            return self.topup(yen, kind != "paid", None, now)
        lots = [lot for lot in self.open_lots() if kind is None or lot.promo == (kind == "promo")]
        missing = -yen - sum((lot.yen for lot in lots), ZERO)
        if missing > 0 and not allow_debt:
            raise Refused("insufficient_funds")
        self.debt += max(missing, ZERO)
        self._take(-yen - max(missing, ZERO), lots)
        return None

    def take_back(self, topup: ModelTopup, yen: Decimal | None, allow_debt: bool) -> Decimal:
        left = topup.yen - topup.reversed
        yen = left if yen is None else yen
        if not 0 < yen <= left:
            raise Refused("refund_exceeds_charge")
        if yen > topup.lot.yen and not allow_debt:
            raise Refused("insufficient_funds")
        return self.reverse(topup, yen)

    def _may_spend(self, yen: Decimal, key: int | None, now: datetime) -> None:
        cycle = f"{now:%Y-%m}"
        payer = None if key is None else self.keys[key]
        if payer is not None and payer.revoked:
            raise Refused("unauthorized")
        if not self.enabled:
            raise Refused("wallet_disabled")
        if self.cap and self.budget and self.spent.get(cycle, ZERO) + self.held + yen > self.budget:
            raise Refused("budget_exhausted")
        if payer is not None and payer.cap and payer.spent.get(cycle, ZERO) + self._held_by(key) + yen > payer.cap:
            raise Refused("key_cap_exhausted")
        if yen > self.balance:
            raise Refused("insufficient_funds")

    def _count(self, yen: Decimal, key: int | None, now: datetime) -> None:
        cycle = f"{now:%Y-%m}"
        self.spent[cycle] = self.spent.get(cycle, ZERO) + yen
        if key is not None:
            self.keys[key].spent[cycle] = self.keys[key].spent.get(cycle, ZERO) + yen
        self._alert(cycle)

    def run_alert_job(self, now: datetime) -> None:
        """What the hourly job fires: thresholds that a lowered budget has put behind the spending."""
        if self.enabled:
            self._alert(f"{now:%Y-%m}")

    def _alert(self, cycle: str) -> None:
        if self.budget:
            reached = self.spent.get(cycle, ZERO) * 100 // self.budget
            fired = self.alerted.setdefault(cycle, set())
            fired.update(threshold for threshold in THRESHOLDS if threshold <= reached)

    def _take(self, yen: Decimal, lots: list[ModelLot] | None = None) -> list[tuple[ModelLot, Decimal]]:
        parts = []
        for lot in self.open_lots() if lots is None else lots:
            part = min(lot.yen, yen)
            lot.yen -= part
            yen -= part
            parts.append((lot, part))
        assert yen == 0
        return parts

    def _give_back(self, parts: list[tuple[ModelLot, Decimal]]) -> None:
        for lot, yen in parts:
            lot.yen += yen

    def _lapse(self, now: datetime) -> None:
        """Expired lots are worth nothing; debt is repaid from whatever credit there is."""
        for lot in self.lots:
            if lot.expires is not None and lot.expires <= now:
                lot.yen = ZERO
        repaid = min(self.debt, self.balance)
        self.debt -= repaid
        self._take(repaid)

    @staticmethod
    def _must_be_open(hold: ModelHold, actor: str) -> None:
        if actor not in (hold.closer, "operator", "product"):
            raise Refused("forbidden")
        if hold.status != "open":
            raise Refused("hold_closed")


def _split(
    parts: list[tuple[ModelLot, Decimal]], yen: Decimal
) -> tuple[list[tuple[ModelLot, Decimal]], list[tuple[ModelLot, Decimal]]]:
    first, rest = [], []
    for lot, part in parts:
        here = min(part, yen)
        yen -= here
        first.append((lot, here))
        rest.append((lot, part - here))
    return first, rest
