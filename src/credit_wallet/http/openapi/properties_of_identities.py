"""What a property means of who calls, and of what opens wallets: operators, keys' scopes, links, revoked tokens."""

from __future__ import annotations

from credit_wallet.http.openapi.about import About
from credit_wallet.http.openapi.about import instant as _time

_A = About

PROPERTIES_OF_IDENTITIES: dict[str, About] = {
    "Identity.wallet_id": _A("The wallet that the token opens; null for sellers and operators.", (1,)),
    "Identity.key_id": _A("The agent key; null for everybody else.", (7,)),
    "Identity.seller_id": _A("The seller; null for everybody else.", (3,)),
    "Identity.scopes": _A(
        "What an agent key may do: `spend`, `read`, `manage`; null for everybody else.", (["spend", "read"],)
    ),
    "CreateKeyBody.scopes": _A(
        "What the key may do, for good: `spend`, `read` its own part of the wallet, `manage` as the owner does. By "
        "default the first two.",
        (["read"],),
    ),
    "KeyView.scopes": _A("What the key may do: `spend`, `read`, `manage`.", (["spend", "read"],)),
    "Identity.operator_id": _A("The operator; null for everybody else, and for keys of the environment.", (3,)),
    "Identity.operator_name": _A("What the operator, or the key of the environment, is called.", ("alice",)),
    "Identity.operator_role": _A(
        "`viewer`, `support`, `finance`, `seller` or `admin`; null for everybody else.", ("support",)
    ),
    "CreateOperatorBody.name": _A(
        "Name for people, 1 to 64 of `a-z`, `0-9` and `._@+-`; it stays the operator's for good.", ("alice",)
    ),
    "CreatedOperator.name": _A("Name for people.", ("alice",)),
    "CreatedOperator.token": _A("The token. It is shown this once; only its hash is stored.", ("cw_operator_…",)),
    "CreateLinkBody.expires_in_seconds": _A("For how long the link can be opened: 30 to 3,600 seconds.", (300,)),
    "CreateLinkBody.scopes": _A(
        "What whoever opens it may do: `read` sees the wallet, `manage` changes it.", (["read"],)
    ),
    "CreateLinkBody.path": _A("The page that it leads to: `/wallet`, or one below it.", ("/wallet/keys",)),
    "CreateLinkBody.language": _A("Language of the pages; null for the one that the browser asks for.", ("ja",)),
    "WalletLink.url": _A(
        "Where to send your customer. It works once, and is shown this once.",
        ("https://pay.example.com/enter/cw_link_…",),
    ),
    "WalletLink.frame_url": _A(
        "The same link for a frame in a page of an origin of `CREDIT_WALLET_FRAME_ORIGINS`; null when there is none.",
        ("https://pay.example.com/framed/enter/cw_link_…",),
    ),
    "WalletLink.expires_at": _time("When the link can no longer be opened."),
    "CreatedOperatorKey.token": _A("The token. It is shown this once; only its hash is stored.", ("cw_operator_…",)),
    "CreateOperatorBody.role": _A("What the operator is there for.", ("support",)),
    "ConfigureOperatorBody.role": _A("What the operator is there for.", ("support",)),
    "CreatedOperator.role": _A("What the operator is there for.", ("support",)),
    "OperatorView.role": _A("What the operator is there for.", ("support",)),
    "RevokeTokenBody.token": _A("The token, or the key of the host's own.", ("cw_live_0000",)),
    "RevokedToken.kind": _A("What it was.", ("agent_key",)),
    "RevokedToken.wallet_id": _A("The wallet that it opened; null for sellers and operators.", (1,)),
    "RevokedToken.key_id": _A("The agent key; null for everybody else.", (7,)),
    "RevokedToken.seller_id": _A("The seller; null for everybody else.", (3,)),
    "RevokedToken.operator_id": _A("The operator; null for everybody else.", (3,)),
    "RevokedToken.revoked_at": _A("Since when it opens nothing.", ("2026-11-28T10:00:00.000Z",)),
    "OperatorView.name": _A("Name for people.", ("alice",)),
    "OperatorKeyView.prefix": _A("The first characters of the token.", ("cw_operator_7Hq2",)),
}
