"""The inside of ``credit_wallet.middleware``: finds what a request would reach, buys it, undoes what failed.

It knows wallets only through accounts, embedded or remote; no rule of money lives here.
"""
