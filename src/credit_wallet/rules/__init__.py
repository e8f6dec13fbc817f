"""The rules of money as pure functions: what a batch of commands does to its wallets, and what it refuses.

No SQL, driver, clock, thread or log may be imported here.
"""
