"""The command line, ``credit-wallet``: each command calls the library and prints the result.

Nothing else may import from here.
"""
