"""A ledger in a PostgreSQL database: connecting, loading, writing, surviving failovers.

Statements that every database shares live one folder up.
"""
