"""Lists of charges over HTTP, one connection that sends one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import islice
from time import perf_counter

from http_service import OPERATOR_KEY
from msgspec import json

from credit_wallet.cli.workloads import Workload, plain_charges, repeated

LIST = 1_000
"""Charges of a list, as many as the route takes."""

_ROUTE = "/credit/charge/batch"
_HEADERS = {"Authorization": f"Bearer {OPERATOR_KEY}", "Content-Type": "application/json"}


@contextmanager
def over_http(port: int, wallet_ids: Sequence[int]) -> Iterator[Workload]:
    """Lists over HTTP, each charge for a wallet drawn at random; the body is made beforehand, the answer is read."""
    charges = plain_charges(wallet_ids)
    with closing(HTTPConnection("127.0.0.1", port)) as connection:

        def charge_list() -> float:
            made = [
                {"wallet_id": wallet_id, "amount_yen": yen, "idempotency_key": key}
                for wallet_id, yen, key in islice(charges, LIST)
            ]
            body = json.encode({"charges": made})
            started = perf_counter()
            connection.request("POST", _ROUTE, body, _HEADERS)
            answer = connection.getresponse()
            content = answer.read()
            elapsed = perf_counter() - started
            assert answer.status == 200, content[:500]
            assert content.count(b'"txn_id"') == LIST, content[:500]
            return elapsed

        yield repeated(charge_list, LIST)
