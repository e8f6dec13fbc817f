"""Money in through Stripe: requests payments, applies what Stripe reports, and looks up what it did not report.

Only ``gateway`` calls Stripe, and what a report does to a wallet is decided in ``rules``.
"""
