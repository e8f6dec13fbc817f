"""Values: amounts, instants, commands, outcomes, tokens, as the rest of the product passes them around.

Nothing here reads a database, a clock or the network, and nothing here decides about money.
"""
