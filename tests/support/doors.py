"""Every way to charge a wallet, as one: the same request through the library, HTTP, the client and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeAlias

from http_answers import CREDIT_YEN, funded
from msgspec import to_builtins
from served import Served
from service import OPERATOR_KEY, Api, new_app
from shell import Shell

from credit_wallet import CreditWallet, WalletError
from credit_wallet.client import Retries, WalletClient
from credit_wallet.domain.documents import document
from credit_wallet.domain.outcomes import Outcome

Answer: TypeAlias = dict[str, Any]
"""What a charge came to: the document of its outcome, or ``code`` and ``field`` of its refusal."""

Door: TypeAlias = Callable[..., Answer]
"""Charges wallet 1: ``amount_yen``, ``item``, ``quantity`` and ``facts`` by name."""


def answered(outcome: Outcome | WalletError) -> Answer:
    """An outcome or refusal of the library or the client."""
    if isinstance(outcome, WalletError):
        return {"code": outcome.code, "field": outcome.details.get("field")}
    shown: Answer = to_builtins(document(outcome))
    return shown


@contextmanager
def library(wallets: CreditWallet) -> Iterator[Door]:
    def charge(**asked: Any) -> Answer:
        try:
            return answered(wallets.charge(1, **asked, idempotency_key="key"))
        except WalletError as refusal:
            return answered(refusal)

    yield charge


@contextmanager
def many(wallets: CreditWallet) -> Iterator[Door]:
    def charge(**asked: Any) -> Answer:
        return answered(wallets.charge_many([(1, asked["amount_yen"], "key")])[0])

    yield charge


def in_json(asked: dict[str, Any]) -> bytes:
    """A body as programs write it; what is a ``Decimal`` here is a text there."""
    return json.dumps(asked, default="{:f}".format).encode()


@contextmanager
def over_http(wallets: CreditWallet, *, fast_lane: bool) -> Iterator[Door]:
    with Api(new_app(wallets, fast_lane=fast_lane)) as api:

        def charge(**asked: Any) -> Answer:
            given = {"wallet_id": 1, **asked}
            shown: Answer = api.call("POST", "/credit/charge", OPERATOR_KEY, key="key", content=in_json(given)).json()
            return shown

        yield charge


@contextmanager
def in_a_batch(wallets: CreditWallet) -> Iterator[Door]:
    with Api(new_app(wallets)) as api:

        def charge(**asked: Any) -> Answer:
            given = {"charges": [{"wallet_id": 1, "idempotency_key": "key", **asked}]}
            answer = api.call("POST", "/credit/charge/batch", OPERATOR_KEY, content=in_json(given)).json()
            shown: Answer = answer["outcomes"][0] if "outcomes" in answer else answer
            return shown | {"field": shown.get("field", "").removeprefix("charges[0].")}

        yield charge


@contextmanager
def through_the_client(wallets: CreditWallet) -> Iterator[Door]:
    with (
        Served(new_app(wallets)) as service,
        WalletClient(service.url, OPERATOR_KEY, retries=Retries(attempts=1)) as client,
    ):

        def charge(**asked: Any) -> Answer:
            try:
                return answered(client.charge(**asked, wallet_id=1, idempotency_key="key"))
            except WalletError as refusal:
                return answered(refusal)

        yield charge


DOORS: dict[str, Callable[[CreditWallet], Any]] = {
    "library": library,
    "charge_many": many,
    "fast lane": lambda wallets: over_http(wallets, fast_lane=True),
    "route": lambda wallets: over_http(wallets, fast_lane=False),
    "batch": in_a_batch,
    "client": through_the_client,
}


def on_the_command_line(shell: Shell, **asked: Any) -> Answer:
    """The same on the command line, where everything is a text; wrong usage has no code."""
    words = [] if "amount_yen" not in asked else [str(asked["amount_yen"])]
    for option in ("item", "quantity"):
        words += [f"--{option}", str(asked[option])] if option in asked else []
    for key, value in asked.get("facts", {}).items():
        words += ["--fact", f"{key}={value}"]
    told = shell.run("--db", shell.url, "--json", "charge", 1, "--key", "key", "--", *words[:1], *words[1:])
    if told.code == 2:
        return {"code": None}
    shown: Answer = json.loads(told.out)
    return shown


def filled(wallets: CreditWallet) -> None:
    """Wallet 1 has ``CREDIT_YEN``."""
    funded(wallets)


def figures(answer: Answer) -> tuple[int, Decimal, int, Decimal]:
    """What a reply says was charged and is left."""
    assert type(answer["amount"]) is type(answer["balance"]) is str
    return answer["amount_yen"], Decimal(answer["amount"]), answer["balance_yen"], Decimal(answer["balance"])


__all__ = ["CREDIT_YEN", "DOORS", "Door", "figures", "filled", "on_the_command_line"]
