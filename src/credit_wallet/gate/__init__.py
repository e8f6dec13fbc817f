"""The inside of ``credit_wallet.middleware``: finds what a request would reach, buys it, undoes what was not delivered.

It knows wallets only through ``payers``, embedded or remote; no rule of money and no import of a web framework is here.
"""
