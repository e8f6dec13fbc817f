"""Statements and reports, drawn up from the ledger step by step.

They only read: no report writes to a ledger.
"""
