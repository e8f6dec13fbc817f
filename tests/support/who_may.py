"""Who may make a call: what each kind of caller has, and what it gets where a call names what is somebody else's."""

from __future__ import annotations

from typing import Literal, TypeAlias

from credit_wallet.domain.permissions import Permission

Who: TypeAlias = Permission | Literal["anybody", "watcher"]
"""The permission that a call needs; ``watcher``: anybody without a token or with a good one."""

SOMEBODY_ELSES = {
    "GET /credit/keys/{key_id}": 404,
    "PATCH /credit/keys/{key_id}": 404,
    "DELETE /credit/keys/{key_id}": 404,
    "POST /credit/keys/{key_id}/rotate": 404,
    "GET /credit/budgets/{budget_id}": 404,
    "PATCH /credit/budgets/{budget_id}": 404,
    "DELETE /credit/budgets/{budget_id}": 404,
    "GET /credit/budgets/{budget_id}/values": 404,
    "POST /credit/notification-targets/{target_id}/confirm": 404,
    "POST /credit/notification-targets/{target_id}/ask-again": 404,
    "GET /credit/topups/{topup_id}": 404,
    "GET /credit/transfers/{transfer_id}": 404,
    "DELETE /credit/topups/{topup_id}": 404,
    "GET /credit/transactions/{txn_id}": 404,
    "GET /credit/holds/{hold_id}": 404,
    "POST /credit/capture": 404,
    "POST /credit/release": 404,
    "POST /credit/extend": 404,
    "POST /credit/charge": 403,
    "POST /credit/hold": 403,
}
"""What the owner of another wallet gets where a call names something of this one; elsewhere it sees its own wallet."""

NOT_SOLD = {
    "GET /credit/transactions/{txn_id}": 404,
    "GET /credit/holds/{hold_id}": 404,
    "POST /credit/capture": 403,
    "POST /credit/release": 403,
    "POST /credit/extend": 403,
    "POST /credit/refund": 403,
}
"""What a seller gets where a call names what somebody else made."""

NOT_SETTLED = dict.fromkeys(
    (f"POST /operator/wallets/{{wallet_id}}/{done}" for done in ("close", "merge", "erase")), 409
)
"""What an operator gets for a wallet of which purchases are being served."""

NOT_HANDED_ON = {"POST /credit/keys": 403, "PATCH /credit/keys/{key_id}": 403, "POST /credit/keys/{key_id}/rotate": 403}
"""What a key that only manages gets for keys that spend."""

NOT_ITS_OWN = dict.fromkeys(
    (
        *("GET /credit/transactions/{txn_id}", "GET /credit/holds/{hold_id}"),
        *("POST /credit/capture", "POST /credit/release", "POST /credit/extend"),
    ),
    404,
)
"""What an agent key gets where a call names what the owner or another key made."""

NOT_PAID = {"GET /credit/transactions/{txn_id}": 404}
"""What an agent key gets where a call names what the owner paid."""

SPENDERS = {"agent", "host's own key", "key that spends"}
READERS = {"agent", "host's own key", "key that reads", "key that manages"}
OWNERS = {"owner", "other owner"}
WALLETS = {*SPENDERS, *READERS, *OWNERS}
ADMINS = {"root", "admin"}
SALES = {"seller operator", *ADMINS}
OPERATORS = {"viewer", "support", "finance", "seller operator", *ADMINS}
MAY: dict[Who, set[str]] = {
    "anybody": {*WALLETS, *OPERATORS, "seller"},
    "watcher": {*WALLETS, *OPERATORS, "seller"},
    "identify": {*WALLETS, *OPERATORS, "seller"},
    "read": {*READERS, *OWNERS},
    "look_up": {*READERS, *OWNERS, "seller"},
    "spend": {*SPENDERS, *OWNERS, *SALES, "seller"},
    "manage": {*OWNERS, "key that manages"},
    "own": OWNERS,
    "sell": {*SALES, "seller"},
    "sell_to_many": SALES,
    "refund": {*SALES, "finance", "seller"},
    "view": OPERATORS - {"seller operator"},
    "support": {"support", *ADMINS},
    "finance": {"finance", *ADMINS},
    "administer": ADMINS,
}
