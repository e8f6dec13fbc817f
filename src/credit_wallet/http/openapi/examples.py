"""An example of each request body, to copy and send."""

from __future__ import annotations

from typing import Any

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

BODY_EXAMPLES: dict[str, dict[str, Any]] = {
    "ChargeBody": {"amount_yen": 3, "note": "GET /search"},
    "HoldBody": {"amount_yen": 300, "ttl_seconds": 600},
    "CaptureBody": {"hold_id": 1, "amount_yen": 120},
    "ReleaseBody": {"hold_id": 1},
    "ExtendBody": {"hold_id": 1, "ttl_seconds": 600},
    "RefundBody": {"txn_id": 2},
    "BatchBody": {
        "charges": [
            {"wallet_id": 1, "amount_yen": 3, "idempotency_key": "b1"},
            {"wallet_id": 2, "amount_yen": 5, "idempotency_key": "b2"},
        ]
    },
    "BuyBody": {"amount_yen": 3, "attempt": "worker-1:17", "note": "GET /search"},
    "ServeBody": {"wallet_id": 1, "purchase_key": "req-1:7", "attempt": "worker-1:17"},
    "RenewBody": {"wallet_id": 1, "purchase_key": "req-1:7", "attempt": "worker-1:17"},
    "UndoBody": {"wallet_id": 1, "purchase_key": "req-1:7", "attempt": "worker-1:17"},
    "SettingsBody": {"monthly_budget_yen": 10_000, "budget_mode": "cap"},
    "TopupBody": {"amount_yen": 1_000, "checkout": True},
    "PayBackBody": {"amount_yen": 1_000},
    "CreateKeyBody": {"label": "research agent", "monthly_cap_yen": 3_000, "expires_at": "2027-03-31"},
    "ConfigureKeyBody": {"monthly_cap_yen": 5_000, "group": "acme/research"},
    "CreateBudgetBody": {
        "limit_yen": 100,
        "window": "day",
        "scope": {"tool": "search", "run": "*"},
        "label": "searches of a run",
    },
    "ConfigureBudgetBody": {"limit_yen": 120, "raised_limit_yen": 300, "raised_until": "2026-12-24"},
    "RotateBody": {"overlap_seconds": 3_600},
    "ReplaceTokenBody": {"overlap_seconds": 0},
    "ConfirmBody": {"code": "K7QM-3XRA"},
    "TargetsBody": {"notification_targets": [{"url": "https://example.com/hook"}]},
    "CreateWalletBody": {
        "label": "customer 1",
        "monthly_budget_yen": 10_000,
        "time_zone": "Asia/Tokyo",
        "reference": "cust_1",
        "metadata": {"plan": "pro"},
    },
    "MetadataBody": {"metadata": {"plan": "pro", "region": "jp"}},
    "FreezeBody": {"frozen": True, "reason": "fraud", "note": "ticket 4715"},
    "CloseBody": {"note": "contract ended, ticket 4716"},
    "EraseBody": {"reason": "customer_request", "note": "asked by mail, ticket 4719"},
    "HandOverBody": {"reference": "cust_2", "rotate_token": True, "note": "company sold, ticket 4718"},
    "MergeBody": {"into_wallet_id": 2, "note": "registered twice, ticket 4717"},
    "AdjustBody": {"amount_yen": "-10", "reason": "mistyped_topup", "note": "¥110 instead of ¥100, ticket 4711"},
    "TakeBackBody": {"txn_id": 12, "note": "credited to the wrong customer, ticket 4711"},
    "PriceGroupBody": {"price_group": "partners"},
    "PriceFileBody": {"prices": '[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n', "dry_run": True},
    "OperatorTopupBody": {"wallet_id": 1, "amount_yen": 10_000, "note": "invoice 2026-117"},
    "CreateGrantBody": {"wallet_id": 1, "amount_yen": 500, "every": "month", "lapses": "next", "note": "free plan"},
    "TransferBody": {"amount_yen": 5_000, "to_owner_token": "cw_live_0000"},
    "OperatorTransferBody": {"from_wallet_id": 1, "to_wallet_id": 2, "amount_yen": 5_000},
    "RegisterSecretBody": {"sha256": _SHA256},
    "CreateSellerBody": {"label": "search service"},
    "CreateLinkBody": {"expires_in_seconds": 300, "scopes": ["read", "manage"], "path": "/wallet", "language": "ja"},
    "RevokeTokenBody": {"token": "cw_live_0000"},
    "CreateOperatorBody": {"name": "alice", "role": "support"},
    "ConfigureOperatorBody": {"role": "finance"},
}
