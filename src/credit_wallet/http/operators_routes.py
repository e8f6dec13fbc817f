"""Operators with names: who they are, what role they have, and their keys."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.operators import CreatedOperator, CreatedOperatorKey, OperatorKeyView, OperatorView
from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import id_after, id_in_path, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.wire.bodies import RotateBody
from credit_wallet.wire.operator_bodies import ConfigureOperatorBody, CreateOperatorBody

TAG = "Operator: operators"
MAX_PAGE = 1_000
OperatorId = Annotated[int, id_in_path("operator")]
OperatorKeyId = Annotated[int, id_in_path("operator's key")]

_ONE = "/operator/operators/{operator_id:int}"


@post("/operator/operators", status_code=HTTP_201_CREATED, **route(TAG, "operator_name_in_use", needs="administer"))
@on_lane(OPERATORS)
def create_operator(data: JSONBody[CreateOperatorBody], wallets: GivenWallets) -> CreatedOperator:
    """Create an operator

    Somebody with a name and a role, and a first key, whose token is in this response and never again. Keys of the
    environment may do this too, and so make the first operator.
    """
    return wallets.operators.create(data.name, data.role)


@get("/operator/operators", **route(TAG, needs="administer"))
@on_lane(OPERATORS)
def list_operators(
    wallets: GivenWallets,
    after: Annotated[int, id_after("operators")] = 0,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[OperatorView]:
    """List operators

    Operators by id, revoked ones included. Keys of the environment are not among them.
    """
    return wallets.operators.list(after=after, limit=limit)


@get(_ONE, **route(TAG, "operator_not_found", needs="administer"))
@on_lane(OPERATORS)
def get_operator(operator_id: OperatorId, wallets: GivenWallets) -> OperatorView:
    """Get an operator

    One operator: name and role.
    """
    return wallets.operators.show(operator_id)


@post(_ONE, status_code=HTTP_200_OK, **route(TAG, "operator_not_found", "key_ended", needs="administer"))
@on_lane(OPERATORS)
def configure_operator(
    operator_id: OperatorId, data: JSONBody[ConfigureOperatorBody], wallets: GivenWallets
) -> OperatorView:
    """Configure an operator

    Gives an operator another role, which counts within a second. Nobody changes their own role.
    """
    return wallets.operators.configure(operator_id, role=data.role)


@delete(_ONE, status_code=HTTP_200_OK, **route(TAG, "operator_not_found", needs="administer"))
@on_lane(OPERATORS)
def revoke_operator(operator_id: OperatorId, wallets: GivenWallets) -> OperatorView:
    """Revoke an operator

    Revokes an operator and all keys for good. The name is not given again.
    """
    return wallets.operators.revoke(operator_id)


@get(f"{_ONE}/keys", **route(TAG, "operator_not_found", needs="administer"))
@on_lane(OPERATORS)
def list_operator_keys(operator_id: OperatorId, wallets: GivenWallets) -> list[OperatorKeyView]:
    """List an operator's keys

    The latest 100 keys, newest first, ended and revoked ones included, each with the first characters of its token.
    """
    return wallets.operators.keys(operator_id)


@post(
    f"{_ONE}/keys",
    status_code=HTTP_201_CREATED,
    **route(TAG, "operator_not_found", "key_ended", "too_many_tokens", needs="administer"),
)
@on_lane(OPERATORS)
def rotate_operator_key(
    operator_id: OperatorId, data: JSONBody[RotateBody], wallets: GivenWallets
) -> CreatedOperatorKey:
    """Rotate an operator's key

    Creates another key of an operator; earlier ones work for `overlap_seconds` more. The token is in this response and
    never again.
    """
    return wallets.operators.rotate(operator_id, overlap_seconds=data.overlap_seconds)


@delete(
    f"{_ONE}/keys/{{operator_key_id:int}}",
    status_code=HTTP_200_OK,
    **route(TAG, "operator_not_found", needs="administer"),
)
@on_lane(OPERATORS)
def revoke_operator_key(
    operator_id: OperatorId, operator_key_id: OperatorKeyId, wallets: GivenWallets
) -> OperatorKeyView:
    """Revoke an operator's key

    Revokes one key for good; the operator's other keys go on working.
    """
    return wallets.operators.revoke_key(operator_id, operator_key_id)


OPERATORS_ROUTES = (
    create_operator,
    list_operators,
    get_operator,
    configure_operator,
    revoke_operator,
    list_operator_keys,
    rotate_operator_key,
    revoke_operator_key,
)
