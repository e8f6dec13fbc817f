"""An open ledger: the facade that a user of the library holds, and the rail that turns commands into durable batches.

SQL lives in ``stores``, and the rules of money live in ``rules``.
"""
