"""Values that the whole product passes around: amounts, instants, commands, outcomes, tokens.

Nothing here reads a database, a clock or the network, and nothing here decides about money.
"""
