"""Jobs in transactions of their own, beside the rail: backfill, seals, pruning, verify, alerts, notices.

They decide nothing about money; the rules live in ``rules``.
"""
