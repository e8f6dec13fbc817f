"""``WalletClient`` and its nouns.

``scripts/blocking_client.py`` writes these files from ``credit_wallet.client.asynchronous``: change a method there.
"""
