"""The command line, ``credit-wallet``: each command calls the library and prints the result.

Nothing imports from here, and neither a rule nor SQL lives here.
"""
