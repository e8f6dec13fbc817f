"""Where notices go and what became of them: the part of ``CreditWallet`` that has to do with notification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import DeliveryView
from credit_wallet.errors import DeliveryNotFound, InvalidRequest, TargetNotFound, WrongConfirmationCode
from credit_wallet.ledger.maintenance import MAX_DAYS_KEPT, WalletUpkeep
from credit_wallet.ledger.queries import MAX_PAGE
from credit_wallet.notices.targets import (
    MAX_TARGETS,
    OPERATOR,
    Target,
    TargetSettings,
    TargetView,
    WantedTarget,
    check,
    is_mail,
    normalised,
    view_of,
)
from credit_wallet.notices.texts import Notice
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import Connection
from credit_wallet.stores.jobs.mailboxes import Answer, ask_again, confirm, prune_notices, require_room
from credit_wallet.stores.jobs.notice_queue import TARGETS_A_STEP, Places, Settled, Taken, Turn, claim, fan_out, settle
from credit_wallet.stores.notification_rows import (
    Chosen,
    delivery_view,
    put_targets,
    resend,
    settings_of,
    target_of,
)

MIN_DAYS_KEPT = 40
"""For which notices are kept at least: longer than a month."""


class WalletNotifying(WalletUpkeep):
    """The notifying half of ``CreditWallet``. ``wallet_id`` 0 is the operator, who hears of every wallet."""

    def targets(self, wallet_id: int) -> list[TargetView]:
        """Where a wallet's notices go, oldest first. Raises ``WalletNotFound``."""
        self._check_owner(wallet_id)
        return [view_of(target) for target in self._targets(wallet_id)]

    def target(self, target_id: int) -> TargetView:
        """One target, whoever's. Raises ``TargetNotFound``."""
        return view_of(self._target(target_id))

    def set_targets(
        self,
        wallet_id: int,
        targets: Iterable[WantedTarget],
        *,
        mail: bool = False,
        private: bool = False,
        confirmed: bool = False,
    ) -> list[TargetView]:
        """Send a wallet's notices to ``targets`` and nowhere else, at most ten.

        A webhook that is new, or to ``rotate_secret``, gets a secret, shown in the answer and never again; a secret
        that it had goes on signing for a day. ``mail`` says that the operator has a mail server, ``private`` that
        targets may be in a private network.

        A new mailbox of a wallet is asked first and told nothing until ``confirm_target``, unless the operator answers
        for all of them with ``confirmed``.

        Raises ``WalletNotFound``, ``TargetNotFound``, ``TooManyConfirmations`` and ``InvalidRequest`` naming the field.
        """
        return self._put_targets(wallet_id, _choice(targets), mail=mail, private=private, confirmed=confirmed)

    def check_targets(
        self, wallet_id: int, targets: Iterable[WantedTarget], *, mail: bool = False, private: bool = False
    ) -> None:
        """Raise what ``set_targets`` would, and change nothing."""
        self._check_owner(wallet_id)
        known = self._targets(wallet_id)
        chosen = _checked(_choice(targets)(known), wallet_id, mail=mail, private=private)
        new = {each.settings.url for each in chosen} - {target.url for target in known}
        if wallet_id != OPERATOR:
            require_room(self._reader.source, wallet_id, [*filter(is_mail, new)], self._clock())

    def add_target(
        self,
        wallet_id: int,
        target: TargetSettings,
        *,
        mail: bool = False,
        private: bool = False,
        confirmed: bool = False,
    ) -> TargetView:
        """Send a wallet's notices to one more target, or to it in another way. Raises like ``set_targets``."""
        target = structs.replace(target, url=_spelled(target.url))

        def with_target(known: list[Target]) -> list[Chosen]:
            others = [Chosen(settings_of(each)) for each in known if each.url != target.url]
            return [*others, Chosen(target, again=True)]

        allowed = {"mail": mail, "private": private, "confirmed": confirmed}
        views = self._put_targets(wallet_id, with_target, only=target.url, **allowed)
        return views[0]

    def confirm_target(self, wallet_id: int, target_id: int, code: str) -> TargetView:
        """Take the code that a mailbox was sent; from now on it is told. One that was confirmed before stays so.

        Raises ``TargetNotFound``, also when its time is over, and ``WrongConfirmationCode``.
        """
        if not isinstance(code, str):
            raise InvalidRequest("code must be text", field="code")
        target = self._target_of(wallet_id, target_id)
        answer: Answer = self._upkeep(confirm, wallet_id, target.target_id, code, self._clock())
        if answer == "unknown":
            raise _no_target(target_id)
        if answer != "confirmed":
            raise WrongConfirmationCode(
                "too many wrong codes; ask for another one"
                if answer == "used_up"
                else "this is not the code that the mailbox was sent last",
                target_id=target_id,
            )
        return view_of(self._target(target_id))

    def ask_target_again(self, wallet_id: int, target_id: int) -> TargetView:
        """Have a mailbox that is not confirmed asked once more, with another code, within the limits of a day.

        Raises ``TargetNotFound`` and ``TooManyConfirmations``.
        """
        target = self._target_of(wallet_id, target_id)
        if target.confirm_by is not None:
            self._upkeep(ask_again, wallet_id, target.target_id, target.url, self._clock())
        return view_of(self._target(target_id))

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

    def claim_notices(self, places: Sequence[Places]) -> Taken:
        """Hand the next events out to their targets, and take targets that have something due for ``places``.

        Both in bounded steps: there may be more.
        """
        more = False
        if self._ask("to_fan_out"):
            more = self._upkeep(fan_out, self._clock()) > 0
        turns: list[list[Turn]] = []
        crowded = []
        for each in places:
            target_ids, others_wait = self._due_targets(each, min(each.free, TARGETS_A_STEP))
            turns.append(self._upkeep(claim, self._clock(), target_ids) if target_ids else [])
            crowded.append(others_wait)
            more = more or bool(target_ids)
        return Taken(turns, crowded, more)

    def _due_targets(self, places: Places, most: int) -> tuple[list[int], bool]:
        """Up to ``most`` targets that have something due, and whether there are others.

        When there are, half of them are those that have waited longest, and half those that have just begun to: whoever
        is behind a crowd does not wait until all of it has had its turn.
        """
        asked = {"way": places.way, "least": places.min_failures, "most": places.max_failures}
        at = format_instant(self._clock())
        due = [target_id for (target_id,) in self._ask("due_targets", **asked, at=at, limit=most + 1)]
        if len(due) <= most:
            return due, False
        newest = [target_id for (target_id,) in self._ask("due_last", **asked, at=at, limit=(most + 1) // 2)]
        return list(dict.fromkeys((*newest, *due)))[:most], True

    def settle_notices(self, settled: Sequence[Settled]) -> int:
        """Note what became of turns; return how many deliveries arrived."""
        return self._upkeep(settle, settled, self._clock())

    def prune_notices(self, kept_days: int) -> int:
        """One bounded step of forgetting deliveries and events that are over and older than ``kept_days`` (at least
        ``MIN_DAYS_KEPT``: occasions of a billing cycle are told once), and mailboxes that did not answer in time.

        Returns how many rows went, 0 when nothing is left to do. What is still to be delivered stays.
        """
        if type(kept_days) is not int or not MIN_DAYS_KEPT <= kept_days <= MAX_DAYS_KEPT:
            raise InvalidRequest(f"kept_days must be {MIN_DAYS_KEPT} to {MAX_DAYS_KEPT}", field="kept_days")
        return self._upkeep(prune_notices, self._ago(timedelta(days=kept_days)), self._clock())

    def targets_for_test(self, wallet_id: int) -> list[tuple[Target, Notice]]:
        """A wallet's targets, each with a notice to try it with."""
        self._check_owner(wallet_id)
        label = None if wallet_id == OPERATOR else self.show(wallet_id).label
        notice = Notice(0, wallet_id, label, "notice.test", {"wallet_id": wallet_id}, format_instant(self._clock()))
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
        confirmed: bool = False,
        only: str | None = None,
    ) -> list[TargetView]:
        """Put the chosen targets; those with the address ``only``, when given, are checked and shown."""
        self._check_owner(wallet_id)

        def put(connection: Connection) -> dict[int, str]:
            return put_targets(
                connection,
                wallet_id,
                lambda known: _checked(choose(known), wallet_id, mail=mail, private=private, only=only),
                self._clock(),
                confirmed=confirmed,
            )

        secrets = self._upkeep(put)
        shown = [target for target in self._targets(wallet_id) if only in (None, target.url)]
        return [view_of(target, secrets.get(target.target_id)) for target in shown]

    def _check_owner(self, wallet_id: int) -> None:
        """Raise ``WalletNotFound`` unless there is such a wallet, or the operator is meant."""
        if wallet_id != OPERATOR or type(wallet_id) is not int:
            self.show(wallet_id)

    def _targets(self, wallet_id: int) -> list[Target]:
        return [target_of(row) for row in self._ask("targets", wallet_id=wallet_id)]

    def _target(self, target_id: int) -> Target:
        for row in self._ask("target", target_id=checked_id("target_id", target_id)):
            return target_of(row)
        raise _no_target(target_id)

    def _target_of(self, wallet_id: int, target_id: int) -> Target:
        target = self._target(target_id)
        if target.wallet_id != wallet_id:
            raise _no_target(target_id)
        return target


def _no_target(target_id: int) -> TargetNotFound:
    return TargetNotFound(f"there is no notification target {target_id}", target_id=target_id)


def _spelled(url: object) -> Any:
    """An address in its one spelling; what is none is for the check to refuse."""
    return normalised(url) if isinstance(url, str) else url


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
    settings = structs.replace(settings_of(wanted), url=_spelled(wanted.url))
    if wanted.target_id is None:
        return settings
    for target in known:
        if target.target_id == wanted.target_id:
            return structs.replace(settings, url=target.url)
    raise _no_target(wanted.target_id)
