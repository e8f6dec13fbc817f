"""A ledger in one SQLite file: connecting, loading, writing.

Statements that every database shares live one folder up.
"""
