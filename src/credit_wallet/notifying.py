"""Where notices go and what became of them: the part of ``CreditWallet`` that has to do with notification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec import structs

from credit_wallet.alerts.targets import (
    MAX_TARGETS,
    OPERATOR,
    Target,
    TargetSettings,
    TargetView,
    WantedTarget,
    check,
    view_of,
)
from credit_wallet.alerts.texts import Notice
from credit_wallet.checks import checked_id
from credit_wallet.cycle import format_instant
from credit_wallet.errors import DeliveryNotFound, InvalidRequest, TargetNotFound
from credit_wallet.outcomes import DeliveryView
from credit_wallet.reading import MAX_PAGE
from credit_wallet.stores.notification_rows import (
    Carried,
    Chosen,
    Claimed,
    claim,
    delivery_view,
    hand_out,
    put_targets,
    record,
    resend,
    settings_of,
    target_of,
)
from credit_wallet.upkeep import WalletUpkeep


class WalletNotifying(WalletUpkeep):
    """The notifying half of ``CreditWallet``. ``wallet_id`` 0 is the operator, who hears of every wallet."""

    def targets(self, wallet_id: int) -> list[TargetView]:
        """Where a wallet's notices go, oldest first. Raises ``WalletNotFound``."""
        self._check_owner(wallet_id)
        return [view_of(target) for target in self._targets(wallet_id)]

    def set_targets(
        self,
        wallet_id: int,
        targets: Iterable[WantedTarget],
        *,
        mail: bool = False,
        private: bool = False,
    ) -> list[TargetView]:
        """Send a wallet's notices to ``targets`` and nowhere else, at most ten.

        A webhook that is new, or to ``rotate_secret``, gets a secret, shown in the answer and never again; a secret
        that it had goes on signing for a day. ``mail`` says that the operator has a mail server, ``private`` that
        targets may be in a private network.

        Raises ``WalletNotFound``, ``TargetNotFound`` and ``InvalidRequest`` naming the field.
        """
        return self._put_targets(wallet_id, _choice(targets), mail=mail, private=private)

    def check_targets(
        self, wallet_id: int, targets: Iterable[WantedTarget], *, mail: bool = False, private: bool = False
    ) -> None:
        """Raise what ``set_targets`` would, and change nothing."""
        self._check_owner(wallet_id)
        _checked(_choice(targets)(self._targets(wallet_id)), wallet_id, mail=mail, private=private)

    def add_target(
        self, wallet_id: int, target: TargetSettings, *, mail: bool = False, private: bool = False
    ) -> TargetView:
        """Send a wallet's notices to one more target, or to it in another way. Raises like ``set_targets``."""

        def with_target(known: list[Target]) -> list[Chosen]:
            others = [Chosen(settings_of(each)) for each in known if each.url != target.url]
            return [*others, Chosen(target, again=True)]

        views = self._put_targets(wallet_id, with_target, mail=mail, private=private, only=target.url)
        return views[0]

    def remove_target(self, target_id: int) -> TargetView:
        """Send nothing to a target any more; what still waits for it is dead. Raises ``TargetNotFound``."""
        target = self._target(target_id)
        self._put_targets(
            target.wallet_id,
            lambda known: [Chosen(settings_of(each)) for each in known if each.target_id != target_id],
        )
        return view_of(target)

    def rotate_target_secret(self, target_id: int) -> TargetView:
        """A new secret for a webhook, in the answer; the old one signs for a day more. Raises ``TargetNotFound``."""
        target = self._target(target_id)
        if not target.secrets:
            raise InvalidRequest(f"target {target_id} is no webhook and has no secret", field="target_id")
        views = self._put_targets(
            target.wallet_id,
            lambda known: [Chosen(settings_of(each), rotate_secret=each.target_id == target_id) for each in known],
            only=target.url,
        )
        return views[0]

    def deliveries(
        self, wallet_id: int | None = None, *, status: str | None = None, limit: int = 50
    ) -> list[DeliveryView]:
        """The latest deliveries (``pending``, ``delivered``, ``dead``), of one wallet or of all, up to ``limit``."""
        if status not in (None, "pending", "delivered", "dead"):
            raise InvalidRequest("status must be pending, delivered or dead", field="status")
        if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit must be 1 to {MAX_PAGE}, not {limit!r}", field="limit")
        if wallet_id is not None:
            checked_id("wallet_id", wallet_id)
        rows = self._ask("deliveries", wallet_id=wallet_id, status=status, limit=limit)
        return [delivery_view(row) for row in rows]

    def resend(self, delivery_id: int | None = None) -> int:
        """Send a delivery again, or without an id every dead one; return how many will be.

        Raises ``DeliveryNotFound`` for one that is unknown or whose target was removed.
        """
        if delivery_id is not None:
            checked_id("delivery_id", delivery_id)
        sent = self._upkeep(resend, delivery_id, self._clock())
        if delivery_id is not None and not sent:
            raise DeliveryNotFound(
                f"there is no delivery {delivery_id} that could be sent again", delivery_id=delivery_id
            )
        return sent

    # For who delivers

    def has_notices(self) -> bool:
        """Whether there is something to hand out or to send."""
        return bool(self._ask("to_do", at=format_instant(self._clock())))

    def claim_notices(self) -> list[Claimed]:
        """Hand events out to their targets, and take deliveries that are due."""
        while self._upkeep(hand_out, self._clock()):
            pass
        return self._upkeep(claim, self._clock())

    def record_notices(self, carried: Sequence[Carried]) -> int:
        """Note what became of deliveries; return how many arrived."""
        return self._upkeep(record, carried, self._clock())

    def targets_for_test(self, wallet_id: int) -> list[tuple[Target, Notice]]:
        """A wallet's targets, each with a notice to try it with."""
        self._check_owner(wallet_id)
        label = None if wallet_id == OPERATOR else self.show(wallet_id).label
        notice = Notice(0, wallet_id, label, "test", {"wallet_id": wallet_id}, format_instant(self._clock()))
        return [(target, notice) for target in self._targets(wallet_id)]

    def now(self) -> datetime:
        """What this ledger's clock says."""
        return self._clock()

    # Inside

    def _put_targets(
        self,
        wallet_id: int,
        choose: Callable[[list[Target]], list[Chosen]],
        *,
        mail: bool = True,
        private: bool = True,
        only: str | None = None,
    ) -> list[TargetView]:
        """Put the chosen targets; those with the address ``only``, when given, are checked and shown."""
        self._check_owner(wallet_id)

        secrets = self._upkeep(
            put_targets,
            wallet_id,
            lambda known: _checked(choose(known), wallet_id, mail=mail, private=private, only=only),
            self._clock(),
        )
        put = [target for target in self._targets(wallet_id) if only in (None, target.url)]
        return [view_of(target, secrets.get(target.target_id)) for target in put]

    def _check_owner(self, wallet_id: int) -> None:
        """Raise ``WalletNotFound`` unless there is such a wallet, or the operator is meant."""
        if wallet_id != OPERATOR or type(wallet_id) is not int:
            self.show(wallet_id)

    def _targets(self, wallet_id: int) -> list[Target]:
        return [target_of(row) for row in self._ask("targets", wallet_id=wallet_id)]

    def _target(self, target_id: int) -> Target:
        for row in self._ask("target", target_id=checked_id("target_id", target_id)):
            return target_of(row)
        raise TargetNotFound(f"there is no notification target {target_id}", target_id=target_id)


def _choice(targets: Iterable[WantedTarget]) -> Callable[[list[Target]], list[Chosen]]:
    wanted = list(targets)
    return lambda known: [Chosen(_settled(each, known), each.rotate_secret) for each in wanted]


def _checked(
    chosen: list[Chosen], wallet_id: int, *, mail: bool, private: bool, only: str | None = None
) -> list[Chosen]:
    """``chosen``, if those with the address ``only`` are well formed, or without one all of them."""
    if len(chosen) > MAX_TARGETS:
        raise InvalidRequest(f"at most {MAX_TARGETS} targets can be told", field="notification_targets")
    for each in chosen:
        if only in (None, each.settings.url):
            check(each.settings, wallet_id, mail=mail, private=private)
    return chosen


def _settled(wanted: WantedTarget, known: Sequence[Target]) -> TargetSettings:
    """A target that is asked for, by address also when it is named by its id."""
    settings = settings_of(wanted)
    if wanted.target_id is None:
        return settings
    for target in known:
        if target.target_id == wanted.target_id:
            return structs.replace(settings, url=target.url)
    raise TargetNotFound(f"there is no notification target {wanted.target_id}", target_id=wanted.target_id)
