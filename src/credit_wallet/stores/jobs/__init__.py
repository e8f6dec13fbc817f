"""Jobs in separate transactions, apart from the rail: backfill, seals, pruning, verify, alerts, notices.

They decide nothing about money; the rules live in ``rules``.
"""
