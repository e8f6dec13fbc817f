"""What ids mean wherever they stand, and what transfers say besides."""

from __future__ import annotations

from credit_wallet.http.openapi.about import About
from credit_wallet.http.openapi.about import instant as _time

_A = About

PROPERTIES_OF_IDS: dict[str, About] = {
    "wallet_id": _A("Id of the wallet.", (1,)),
    "txn_id": _A("Id of the ledger entry.", (2,)),
    "hold_id": _A("Id of the hold.", (1,)),
    "key_id": _A("Id of the agent key; null for the owner.", (7,)),
    "operator_id": _A("Id of the operator.", (3,)),
    "operator_key_id": _A("Id of the operator's key.", (9,)),
    "seller_id": _A("Id of the seller.", (3,)),
    "topup_id": _A(
        "Id of the top-up, derived from wallet and idempotency key.", ("tu_20bca0ada1f6dda73b61b97a92eb5d",)
    ),
    "lot_id": _A("Id of the lot: the ledger entry that brought the credit.", (1,)),
    "budget_id": _A(
        "Id of the budget; `monthly-1` is the monthly budget of wallet 1, `key-7` the cap of agent key 7.",
        ("budget-12",),
    ),
    "target_id": _A("Id of the notification target.", (4,)),
    "delivery_id": _A("Id of the delivery.", (12,)),
    "seal_id": _A("Number of the seal.", (42,)),
    "related_txn_id": _A("The charge that a refund returns, or the top-up that is reversed; else null.", (2,)),
    "credit_txn_id": _A("The ledger entry that credited the top-up; null before that.", (5,)),
    "last_txn_id": _A("The last ledger entry that the seal covers.", (48_210,)),
    "transfer_id": _A(
        "Id of the transfer, derived from the wallet that it leaves and the idempotency key.",
        ("tr_1_206e147864ef7ab96bd1d844",),
    ),
    "to_wallet_id": _A("The wallet that the credit goes to.", (2,)),
    "other_wallet_id": _A("Where the credit goes to, or comes from.", (2,)),
    "returned_txn_id": _A("The ledger entry that returned it; null when it was not returned.", (14,)),
    "direction": _A("`out`: it leaves the wallet. `in`: it comes in.", ("out",)),
    "cause": _A(
        "Why credit came in or went out: `payment`, `grant`, `reinstatement`, `pay_back_failed`, `transfer_in`, "
        "`transfer_returned`, `adjustment`, `clawback`, `pay_back`, `debt_repayment` or `transfer_out`; null of "
        "charges, refunds and expiries.",
        ("grant",),
    ),
    "transfers": _A("Transfers, newest first."),
    "ended_at": _time("When it came in, or was returned; null while it is on its way."),
}
