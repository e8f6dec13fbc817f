"""What the naive ledger of ``model.py`` is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

ZERO = Decimal(0)


@dataclass
class ModelLot:
    number: int
    promo: bool
    expires: datetime | None
    yen: Decimal


@dataclass
class ModelHold:
    """``parts`` are of what is left of it."""

    key: int | None
    yen: Decimal
    parts: list[tuple[ModelLot, Decimal]]
    made: datetime
    expires: datetime
    closer: str = "operator"
    served: bool = False
    captured: Decimal = ZERO
    status: str = "open"

    @property
    def left(self) -> Decimal:
        return self.yen - self.captured


@dataclass
class ModelCharge:
    yen: Decimal
    parts: list[tuple[ModelLot, Decimal]]
    refunded: Decimal = ZERO


@dataclass
class ModelPurchase:
    """What a request has bought, with a charge or a hold; with neither, it is owed whole."""

    request: tuple[Decimal, bool, int | None]
    """Price, whether it was held, and the agent key that paid."""

    attempt: str
    lease: datetime
    charge: ModelCharge | None
    hold: ModelHold | None
    status: str = "running"
    free: int = 0

    @property
    def given_back(self) -> bool:
        if self.hold is not None:
            return self.hold.status in ("released", "expired") and not self.hold.captured
        return self.charge is not None and self.charge.refunded >= self.request[0]

    @property
    def captured(self) -> bool:
        hold = self.hold
        return hold is not None and hold.status != "open" and (hold.status == "captured" or hold.captured > 0)


@dataclass
class ModelTopup:
    yen: Decimal
    lot: ModelLot
    reversed: Decimal = ZERO


@dataclass
class ModelKey:
    cap: int
    spent: dict[str, Decimal] = field(default_factory=dict)
    revoked: bool = False


class Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
