"""The inside of ``credit_wallet.middleware``: how a call to somebody's application is paid for.

``routing`` finds the handler that a request will reach; ``accounts`` is the wallet of a caller, embedded or remote;
``purchases`` what an attempt buys, serves and gives back in the ledger, with ``renewals`` while it runs and ``arrears``
for what could not be done at once; ``on_chain`` payments without a wallet. ``exchange`` joins a sale (``sales``) with
one ASGI request (``inbox``: what comes in), and ``tools`` with a function such as an MCP server's tool.
"""
