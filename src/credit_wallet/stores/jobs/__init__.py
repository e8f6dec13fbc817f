"""Jobs in transactions of their own, apart from the rail: backfill, seals, pruning, the proof, alerts, notices.

They decide nothing about money; rules live in ``rules``.
"""
