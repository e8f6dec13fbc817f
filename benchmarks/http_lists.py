"""Lists of charges over HTTP, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice
from time import perf_counter

from http_service import OPERATOR_KEY
from msgspec import json

from credit_wallet.cli.workloads import PlainCharge, Round, Workload, plain_charges, repeated

LIST = 1_000
"""Charges of a list, as many as the route takes."""

_ROUTE = "/credit/charge/batch"
_HEADERS = {"Authorization": f"Bearer {OPERATOR_KEY}", "Content-Type": "application/json"}


def over_http(port: int, wallet_ids: Sequence[int]) -> Workload:
    """Lists over HTTP, each charge for a wallet drawn at random; the body is made beforehand, the answer is read.

    Each turn has a connection of its own: the service closes one that says nothing meanwhile.
    """
    charges = plain_charges(wallet_ids)

    def run(seconds: float) -> Round:
        with closing(HTTPConnection("127.0.0.1", port)) as connection:
            return repeated(lambda: _charge_list(connection, islice(charges, LIST)), LIST)(seconds)

    return run


def _charge_list(connection: HTTPConnection, charges: Iterable[PlainCharge]) -> float:
    made = [{"wallet_id": wallet_id, "amount_yen": yen, "idempotency_key": key} for wallet_id, yen, key in charges]
    body = json.encode({"charges": made})
    started = perf_counter()
    connection.request("POST", _ROUTE, body, _HEADERS)
    answer = connection.getresponse()
    content = answer.read()
    elapsed = perf_counter() - started
    assert answer.status == 200, content[:500]
    assert content.count(b'"txn_id"') == LIST, content[:500]
    return elapsed
