"""The rules of money, pure: what a batch of commands does to the wallets that it names, and when it is refused.

No SQL, no driver, no clock, no thread and no log may be imported here.
"""
