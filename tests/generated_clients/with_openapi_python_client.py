"""A charge, and one that the wallet cannot pay, with the client of openapi-python-client."""

# mypy: ignore-errors

from __future__ import annotations

import os
import sys
from importlib import import_module
from pkgutil import walk_packages

import openapi_python_client_wallet as wallet
from openapi_python_client_wallet.api.charges_and_holds import charge
from openapi_python_client_wallet.models import ChargeBody, InsufficientFundsProblem, MovementReply

for module in walk_packages(wallet.__path__, f"{wallet.__name__}."):
    import_module(module.name)

client = wallet.AuthenticatedClient(os.environ["WALLET_URL"], os.environ["WALLET_TOKEN"])
name = "openapi-python-client"

paid = charge.sync(client=client, body=ChargeBody(amount_yen=3, note=name), idempotency_key=name)
assert isinstance(paid, MovementReply), paid
assert paid.replayed is False

refused = charge.sync(client=client, body=ChargeBody(amount_yen=1_000_000), idempotency_key=f"{name}, too much")
assert isinstance(refused, InsufficientFundsProblem), refused
assert refused.missing_yen == 1_000_000 - paid.balance_yen

sys.stdout.write(f"{paid.balance_yen}\n")
