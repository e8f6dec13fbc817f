"""Statements and reports that are drawn up from the ledger, step by step.

Reports read and never write.
"""
