"""Operators: people and programs of the host's, each with a name, a role and keys."""

from __future__ import annotations

import builtins
import re

from credit_wallet.domain.operators import CreatedOperator, CreatedOperatorKey, OperatorKeyView, OperatorView
from credit_wallet.domain.permissions import ROLES, Role
from credit_wallet.domain.tokens import new_operator_key, shown_prefix, token_hash
from credit_wallet.errors import Forbidden, InvalidRequest, OperatorNotFound
from credit_wallet.ledger.keys import checked_overlap
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.validation import checked_after, checked_id
from credit_wallet.stores import operator_rows

NAME_PATTERN = r"^[a-z0-9][a-z0-9._@+-]{0,63}$"
_NAME = re.compile(NAME_PATTERN)


class Operators:
    """``wallets.operators``: create, list, configure, rotate and revoke operators and their keys."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(self, name: str, role: Role) -> CreatedOperator:
        """A new operator with a first key, whose ``token`` cannot be shown again.

        ``role`` is "viewer", "support", "finance", "seller" or "admin". ``name`` is 1 to 64 of a-z, 0-9 and ``._@+-``,
        for people: the log names operators by their id. Raises ``InvalidRequest``, and ``OperatorNameInUse`` when
        somebody has the name or once had it.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidRequest("name must be 1 to 64 characters of a-z, 0-9 and ._@+-", field="name")
        token, role = new_operator_key(), _checked_role(role)
        operator_id, key_id = self._ledger.change_secrets(
            0, operator_rows.create, shown_prefix(token), token_hash(token), name, role
        )
        return CreatedOperator(operator_id, name, role, key_id, token)

    def list(self, *, after: int = 0, limit: int = 100) -> builtins.list[OperatorView]:
        """Operators with an id above ``after``, by id, up to ``limit`` (at most 1,000), revoked ones included."""
        return operator_rows.operators(self._ledger.reader.source, checked_after(after), checked_page(limit))

    def show(self, operator_id: int) -> OperatorView:
        """An operator. Raises ``OperatorNotFound``."""
        return operator_rows.operator(self._ledger.reader.source, checked_id("operator_id", operator_id))

    def keys(self, operator_id: int) -> builtins.list[OperatorKeyView]:
        """The latest 100 keys of an operator, newest first, ended and revoked ones included.

        Raises ``OperatorNotFound``.
        """
        self.show(operator_id)
        return operator_rows.keys(self._ledger.reader.source, operator_id)

    def configure(self, operator_id: int, *, role: Role) -> OperatorView:
        """Give an operator another role, at once here and within a second elsewhere.

        Nobody changes their own role: that is ``Forbidden``. Raises ``OperatorNotFound``, ``InvalidRequest``, and
        ``KeyEnded`` when the operator is revoked.
        """
        checked_id("operator_id", operator_id)
        if self._ledger.author.name == f"operator:{operator_id}":
            raise Forbidden("operators do not change their own role; ask another one who administers")
        self._ledger.change_secrets(0, operator_rows.configure, operator_id, _checked_role(role))
        return self.show(operator_id)

    def rotate(self, operator_id: int, *, overlap_seconds: int = 3600) -> CreatedOperatorKey:
        """Another key of an operator; earlier ones work for ``overlap_seconds`` more, 0 to 31 days.

        Raises ``OperatorNotFound``, ``KeyEnded`` when the operator is revoked, and ``TooManyTokens`` when ten earlier
        ones work.
        """
        token, overlap = new_operator_key(), checked_overlap(overlap_seconds)
        checked_id("operator_id", operator_id)
        key_id = self._ledger.change_secrets(
            0, operator_rows.rotate, operator_id, shown_prefix(token), token_hash(token), overlap
        )
        return CreatedOperatorKey(operator_id, key_id, token)

    def revoke(self, operator_id: int) -> OperatorView:
        """Revoke an operator and all keys for good. Its name is not given again. Raises ``OperatorNotFound``."""
        checked_id("operator_id", operator_id)
        self._ledger.change_secrets(0, operator_rows.revoke, operator_id)
        return self.show(operator_id)

    def revoke_key(self, operator_id: int, operator_key_id: int) -> OperatorKeyView:
        """Revoke one key of an operator for good. Raises ``OperatorNotFound`` when the operator has no such key."""
        checked_id("operator_id", operator_id)
        checked_id("operator_key_id", operator_key_id)
        self._ledger.change_secrets(0, operator_rows.revoke_key, operator_id, operator_key_id)
        for key in self.keys(operator_id):
            if key.operator_key_id == operator_key_id:
                return key
        raise OperatorNotFound(
            f"operator {operator_id} has no key {operator_key_id}; list the operator's keys", operator_id=operator_id
        )


def _checked_role(role: Role) -> Role:
    if role not in ROLES:
        raise InvalidRequest(f"role must be one of {', '.join(ROLES)}", field="role")
    return role
