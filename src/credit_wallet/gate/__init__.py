"""The inside of ``credit_wallet.middleware``: how a call to somebody's application is paid for.

``accounts`` is the wallet of a caller, embedded or remote; ``purchases`` what is bought and given back; ``attempts``
what is known of callers' idempotency keys; ``arrears`` what a wallet could not be given back yet; ``on_chain`` payments
without a wallet. ``exchange`` joins a sale (``sales``) with one ASGI request (``inbox``: what comes in), and ``tools``
with a function such as an MCP server's tool.
"""
