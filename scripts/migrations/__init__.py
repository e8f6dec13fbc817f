"""The migrations as package data: ``resources.files("credit_wallet.migrations") / name``."""
