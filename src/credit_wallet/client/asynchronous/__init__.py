"""``AsyncWalletClient`` and its nouns, for asyncio.

``scripts/blocking_client.py`` writes ``credit_wallet.client.blocking`` from these files: change a method here.
"""
