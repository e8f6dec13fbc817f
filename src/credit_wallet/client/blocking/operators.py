"""The host's operators."""

from __future__ import annotations

from collections.abc import Sequence

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.operators import CreatedOperator, CreatedOperatorKey, OperatorKeyView, OperatorView
from credit_wallet.domain.permissions import Role
from credit_wallet.wire.bodies import RotateBody
from credit_wallet.wire.operator_bodies import ConfigureOperatorBody, CreateOperatorBody


class Operators:
    """People and programs of the host's, each with a role and keys. All methods are for operators who administer."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(self, name: str, role: Role) -> CreatedOperator:
        """A new operator with a first key. Its ``token`` is shown only now."""
        body = CreateOperatorBody(name, role)
        return self._send(calls.create("/operator/operators", read_as(CreatedOperator), body))

    def list(self, *, after: int = 0, limit: int = 100) -> Sequence[OperatorView]:
        """Operators with an id above ``after``, by id; ``limit`` is 1 to 1,000."""
        return self._send(calls.get("/operator/operators", read_as(list[OperatorView]), after=after, limit=limit))

    def show(self, operator_id: int) -> OperatorView:
        """One operator."""
        return self._send(calls.get(_path(operator_id), read_as(OperatorView)))

    def configure(self, operator_id: int, *, role: Role) -> OperatorView:
        """Give an operator another role; nobody changes their own."""
        body = ConfigureOperatorBody(role)
        return self._send(Call("POST", _path(operator_id), read_as(OperatorView), body))

    def revoke(self, operator_id: int) -> OperatorView:
        """Revoke an operator and all keys for good."""
        return self._send(Call("DELETE", _path(operator_id), read_as(OperatorView)))

    def keys(self, operator_id: int) -> Sequence[OperatorKeyView]:
        """The latest 100 keys of an operator, newest first."""
        return self._send(calls.get(f"{_path(operator_id)}/keys", read_as(list[OperatorKeyView])))

    def rotate(self, operator_id: int, *, overlap_seconds: int = 3600) -> CreatedOperatorKey:
        """A new key for an operator; earlier ones work for another ``overlap_seconds``."""
        path, body = f"{_path(operator_id)}/keys", RotateBody(overlap_seconds)
        return self._send(calls.create(path, read_as(CreatedOperatorKey), body))

    def revoke_key(self, operator_id: int, operator_key_id: int) -> OperatorKeyView:
        """Revoke one key of an operator for good."""
        path = f"{_path(operator_id)}/keys/{operator_key_id:d}"
        return self._send(Call("DELETE", path, read_as(OperatorKeyView)))


def _path(operator_id: int) -> str:
    return f"/operator/operators/{operator_id:d}"
