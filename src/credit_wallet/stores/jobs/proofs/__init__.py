"""The parts of ``verify``: statements that must return no row, sums by billing cycle, seals, and protecting triggers.

They read one snapshot of a ledger; nothing here writes.
"""
