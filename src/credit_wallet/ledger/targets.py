"""Notification targets: where the notices of a wallet, or of the operator, go."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import structs

from credit_wallet.errors import InvalidRequest, TargetNotFound, WrongConfirmationCode
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.services import count_receivers
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
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import Connection
from credit_wallet.stores.jobs.mailboxes import Answer, ask_again, confirm, require_room
from credit_wallet.stores.notification_rows import SQL, Chosen, put_targets, settings_of, target_of


class Targets:
    """``wallets.targets``: where notices go. ``wallet_id`` 0 is the operator, who gets those of every wallet."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(self, wallet_id: int) -> builtins.list[TargetView]:
        """Where a wallet's notices go, oldest first. Raises ``WalletNotFound``."""
        self._check_owner(wallet_id)
        return [view_of(target) for target in self._targets(wallet_id)]

    def show(self, target_id: int) -> TargetView:
        """One target, of any wallet or the operator. Raises ``TargetNotFound``."""
        return view_of(self._target(target_id))

    def set(
        self,
        wallet_id: int,
        targets: Iterable[WantedTarget],
        *,
        mail: bool = False,
        private: bool = False,
        confirmed: bool = False,
    ) -> builtins.list[TargetView]:
        """Send a wallet's notices to ``targets`` and nowhere else, at most ten.

        A new webhook, or one with ``rotate_secret``, gets a secret, shown only in this result; its old secret signs for
        another day. ``mail`` means that the operator has a mail server, ``private`` that targets may be in a private
        network.

        A new mailbox of a wallet is first sent a code and gets nothing else until ``confirm``, unless the operator
        vouches for all of them with ``confirmed``.

        Raises ``WalletNotFound``, ``TargetNotFound``, ``TooManyConfirmations`` and ``InvalidRequest`` naming the field.
        """
        return self._put_targets(wallet_id, _choice(targets), mail=mail, private=private, confirmed=confirmed)

    def check(
        self, wallet_id: int, targets: Iterable[WantedTarget], *, mail: bool = False, private: bool = False
    ) -> None:
        """Raise what ``set`` would raise, and change nothing."""
        self._check_owner(wallet_id)
        known = self._targets(wallet_id)
        chosen = _checked(_choice(targets)(known), wallet_id, mail=mail, private=private)
        new = {each.settings.url for each in chosen} - {target.url for target in known}
        if wallet_id != OPERATOR:
            require_room(self._ledger.reader.source, wallet_id, [*filter(is_mail, new)], self._ledger.clock())

    def add(
        self,
        wallet_id: int,
        target: TargetSettings,
        *,
        mail: bool = False,
        private: bool = False,
        confirmed: bool = False,
    ) -> TargetView:
        """Add a target to a wallet, or change its settings. Raises like ``set``."""
        target = structs.replace(target, url=_spelled(target.url))

        def with_target(known: builtins.list[Target]) -> builtins.list[Chosen]:
            others = [Chosen(settings_of(each)) for each in known if each.url != target.url]
            return [*others, Chosen(target, again=True)]

        allowed = {"mail": mail, "private": private, "confirmed": confirmed}
        views = self._put_targets(wallet_id, with_target, only=target.url, **allowed)
        return views[0]

    def confirm(self, wallet_id: int, target_id: int, code: str) -> TargetView:
        """Confirm a mailbox with the code it was sent; from now on it gets notices. Confirming twice is fine.

        Raises ``TargetNotFound``, also when the code has expired, and ``WrongConfirmationCode``.
        """
        if not isinstance(code, str):
            raise InvalidRequest("code must be text", field="code")
        target = self._target_of(wallet_id, target_id)
        author, now = self._ledger.author, self._ledger.clock()
        answer: Answer = self._ledger.maintain(confirm, wallet_id, target.target_id, code, author, now)
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

    def ask_again(self, wallet_id: int, target_id: int) -> TargetView:
        """Send an unconfirmed mailbox another code, within the daily limits.

        Raises ``TargetNotFound`` and ``TooManyConfirmations``.
        """
        target = self._target_of(wallet_id, target_id)
        if target.confirm_by is not None:
            author, now = self._ledger.author, self._ledger.clock()
            self._ledger.maintain(ask_again, wallet_id, target.target_id, target.url, author, now)
        return view_of(self._target(target_id))

    def remove(self, target_id: int) -> TargetView:
        """Remove a target; its pending deliveries are dead-lettered. Raises ``TargetNotFound``."""
        target = self._target(target_id)
        self._put_targets(
            target.wallet_id,
            lambda known: [Chosen(settings_of(each)) for each in known if each.target_id != target_id],
        )
        return view_of(target)

    def rotate_secret(self, target_id: int) -> TargetView:
        """A new secret for a webhook, in the result; the old one signs for another day. Raises ``TargetNotFound``."""
        target = self._target(target_id)
        if not target.secrets:
            raise InvalidRequest(f"target {target_id} is not a webhook and has no secret", field="target_id")
        views = self._put_targets(
            target.wallet_id,
            lambda known: [Chosen(settings_of(each), rotate_secret=each.target_id == target_id) for each in known],
            only=target.url,
        )
        return views[0]

    # Inside

    def _put_targets(
        self,
        wallet_id: int,
        choose: Callable[[builtins.list[Target]], builtins.list[Chosen]],
        *,
        mail: bool = True,
        private: bool = True,
        confirmed: bool = False,
        only: str | None = None,
    ) -> builtins.list[TargetView]:
        """Store the chosen targets; those with the address ``only``, if given, are checked and returned."""
        self._check_owner(wallet_id)

        def put(connection: Connection) -> dict[int, str]:
            return put_targets(
                connection,
                wallet_id,
                lambda known: _checked(choose(known), wallet_id, mail=mail, private=private, only=only),
                self._ledger.clock(),
                confirmed=confirmed,
                author=self._ledger.author,
            )

        self._ledger.require_room_for_acts(wallet_id)
        secrets = self._ledger.maintain(put)
        shown = [target for target in self._targets(wallet_id) if only in (None, target.url)]
        return [view_of(target, secrets.get(target.target_id)) for target in shown]

    def _check_owner(self, wallet_id: int) -> None:
        """Raise ``WalletNotFound`` unless the wallet exists, or the operator is meant."""
        if wallet_id != OPERATOR or type(wallet_id) is not int:
            self._ledger.row(wallet_id)

    def _targets(self, wallet_id: int) -> builtins.list[Target]:
        return [target_of(row) for row in self._ledger.ask(SQL["targets"], wallet_id=wallet_id)]

    def _target(self, target_id: int) -> Target:
        for row in self._ledger.ask(SQL["target"], target_id=checked_id("target_id", target_id)):
            return target_of(row)
        raise _no_target(target_id)

    def _target_of(self, wallet_id: int, target_id: int) -> Target:
        target = self._target(target_id)
        if target.wallet_id != wallet_id:
            raise _no_target(target_id)
        return target


def _no_target(target_id: int) -> TargetNotFound:
    return TargetNotFound(f"there is no notification target {target_id}; check the id", target_id=target_id)


def _spelled(url: object) -> Any:
    """An address in its canonical spelling; the check refuses anything that is not an address."""
    return normalised(url) if isinstance(url, str) else url


def _choice(targets: Iterable[WantedTarget]) -> Callable[[list[Target]], list[Chosen]]:
    wanted = list(targets)
    return lambda known: [Chosen(_settled(each, known), each.rotate_secret) for each in wanted]


def _checked(
    chosen: list[Chosen], wallet_id: int, *, mail: bool, private: bool, only: str | None = None
) -> list[Chosen]:
    """``chosen``, if those with the address ``only`` are well formed, or without one all of them."""
    if len(chosen) > MAX_TARGETS:
        raise InvalidRequest(f"at most {MAX_TARGETS} targets are allowed", field="notification_targets")
    for each in chosen:
        if only in (None, each.settings.url):
            check(each.settings, wallet_id, count_receivers, mail=mail, private=private)
    return chosen


def _settled(wanted: WantedTarget, known: Sequence[Target]) -> TargetSettings:
    """A requested target by its address, even if it is named by its id."""
    settings = structs.replace(settings_of(wanted), url=_spelled(wanted.url))
    if wanted.target_id is None:
        return settings
    for target in known:
        if target.target_id == wanted.target_id:
            return structs.replace(settings, url=target.url)
    raise _no_target(wanted.target_id)
