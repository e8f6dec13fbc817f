"""How a process behaves: deadlines, bounded crews of threads, the ledger's clock, stopping, forking.

Nothing here knows what a wallet is.
"""
