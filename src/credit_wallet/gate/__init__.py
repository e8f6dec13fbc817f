"""How a call to somebody's application is paid for: the inside of ``credit_wallet.middleware``.

``routing`` finds the handler that a request will reach, ``payers`` the wallet that pays, embedded or remote.
``billing`` buys, and ``purchases`` has what was bought: charged or held, served, delivered or undone in the ledger,
renewed while it runs (``renewals``), completed later when it could not be at once (``compensations``).
``x402_processor`` accepts payments without a wallet. ``exchange`` joins a ``payment`` with one ASGI request
(``inbox``), ``tools`` with a function such as an MCP server's tool. No rule of money lives here, because the ledger
decides; and nothing here imports a web framework.
"""
