"""The fast lane answers as the documented routes do, in this process and over the server's own hand-over."""

from __future__ import annotations

from collections.abc import Callable

from clock import Clock
from databases import Databases, on_both_databases
from http_answers import funded
from over_socket import OverSocket
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet

pytestmark = on_both_databases


CHARGE = "/credit/charge"
BODIES: list[tuple[str, bytes]] = [
    (CHARGE, b'{"amount_yen": 3}'),
    (CHARGE, b'{"amount_yen": 3, "note": "\\u3042\\ud83d\\ude00"}'),
    (CHARGE, b'{"amount_yen": 99999}'),
    (CHARGE, b'{"amount_yen": 3, "wallet_id": 1}'),
    (CHARGE, b'{"amount_yen": 3, "wallet_id": 2}'),
    (CHARGE, b'{"amount_yen": 3, "wallet_id": 99}'),
    (CHARGE, b'{"amount_yen": 3, "amount_yen": 4}'),
    (CHARGE, b'{"amount_yen": 3.0}'),
    (CHARGE, b'{"amount_yen": 1e400}'),
    (CHARGE, b'{"amount_yen": NaN}'),
    (CHARGE, b'{"amount_yen": -1}'),
    (CHARGE, b'{"amount_yen": "3"}'),
    (CHARGE, b'{"amount_yen": ' + b"9" * 5_000 + b"}"),
    (CHARGE, b'{"amount_yen": 3, "note": "\xff"}'),
    (CHARGE, b'{"amount_yen": 3, "note": "\\ud800"}'),
    (CHARGE, b'{"amount_yen": 3, "note": "\\u0000"}'),
    (CHARGE, b'{"amount_yen": 3, "nota": "x"}'),
    (CHARGE, b'{"amount_yen": 3'),
    (CHARGE, b"{}"),
    (CHARGE, b"[]"),
    (CHARGE, b"[[1]]"),
    (CHARGE, b"null"),
    (CHARGE, b""),
    (CHARGE, b"[" * 10_000),
    (CHARGE, b'{"x": ' + b"[" * 10_000),
    (CHARGE, b'{"amount_yen": 3}' + b" " * 20_000),
    (CHARGE, b'{"amount_yen": 3}' + b" " * 2_000_000),
    ("/credit/hold", b'{"amount_yen": 3}'),
    ("/credit/hold", b'{"amount_yen": 3, "ttl_seconds": 0}'),
    ("/credit/capture", b'{"hold_id": 1, "amount_yen": 2}'),
    ("/credit/capture", b'{"hold_id": 1, "amount_yen": 999}'),
    ("/credit/capture", b'{"hold_id": 2, "amount_yen": 2}'),
    ("/credit/capture", b'{"hold_id": 99, "amount_yen": 2}'),
    ("/credit/release", b'{"hold_id": 1}'),
    ("/credit/release", b'{"hold_id": 2}'),
    ("/credit/release", b'{"hold_id": "1"}'),
]
CREDENTIALS = ("owner", "agent", "operator", "nobody", "malformed", "basic", "header")
SHORT_BYTES = 16_384
"""A longer body's caller may find the connection closed before all of it was sent."""
KEYS: tuple[str | None, ...] = (None, "", "same", "x" * 256, "a\x01b", "\xe9")


Answers = dict[tuple[str, bytes, str, str | None, int], tuple[int, bytes, dict[str, str]]]
"""Status, body and headers, by what was asked for and how often that was before."""


def answers_of(wallets: CreditWallet, opened: Api | OverSocket) -> Answers:
    """The answers to every body of the table with good credentials and key, and to bad ones."""
    owner = funded(wallets, monthly_budget_yen=100)
    theirs = funded(wallets)
    wallets.hold(owner.wallet_id, 10, idempotency_key="h")
    wallets.hold(theirs.wallet_id, 10, idempotency_key="h")
    headers = {
        "owner": {"Authorization": f"Bearer {owner.owner_token}"},
        "agent": {"Authorization": f"bearer {wallets.keys.create(owner.wallet_id).token}"},
        "operator": {"Authorization": f"Bearer {OPERATOR_KEY}"},
        "nobody": {},
        "malformed": {"Authorization": "Bearer x"},
        "basic": {"Authorization": "Basic eDp4"},
        "header": {"X-API-Key": owner.owner_token},
    }
    requests: list[tuple[str, bytes, str, str | None]]
    requests = [(path, body, "owner", f"key-{number}") for number, (path, body) in enumerate(BODIES)]
    requests += [(CHARGE, BODIES[0][1], who, "by-" + who) for who in CREDENTIALS]
    requests += [(CHARGE, b"{", who, "bad-" + who) for who in CREDENTIALS]
    requests += [(CHARGE, BODIES[3][1], "operator", "named"), (CHARGE, BODIES[5][1], "operator", "unknown")]
    requests += [(CHARGE, BODIES[0][1], "owner", key) for key in (*KEYS, "same")]
    requests += [(CHARGE, BODIES[1][1], "owner", "same")]
    answers: Answers = {}
    with opened as api:
        for number, (path, body, who, key) in enumerate(requests):
            if isinstance(api, OverSocket) and (len(body) > SHORT_BYTES or key == "a\x01b"):
                continue  # the server beneath answers: see test_http_hostile
            fields: dict[str, str | bytes] = {**headers[who], "X-Request-Id": "same"}
            if key is not None:
                fields["Idempotency-Key"] = key.encode("latin-1")
            answer = api.call("POST", path, content=body, headers=fields)
            said = answer.status_code, answer.content, dict(sorted(answer.headers.items()))
            answers[path, body, who, key, number] = said
    return answers


def test_the_fast_lane_answers_as_the_documented_routes_do(databases: Databases, clock: Clock) -> None:
    """Byte for byte, each on a ledger of its own."""

    def answers(opened: Callable[[CreditWallet], Api | OverSocket]) -> Answers:
        with databases.ledger() as url, CreditWallet.open(url, clock=clock) as wallets:
            return answers_of(wallets, opened(wallets))

    documented = answers(lambda wallets: Api(new_app(wallets, fast_lane=False)))
    assert {status for status, _, _ in documented.values()} == {200, 400, 401, 402, 403, 404, 409, 413, 422, 428}
    assert answers(lambda wallets: Api(new_app(wallets))) == documented
    over_the_server = answers(lambda wallets: OverSocket(new_app(wallets)))
    assert over_the_server == {asked: documented[asked] for asked in over_the_server}
    assert len(over_the_server) > len(documented) - 5
