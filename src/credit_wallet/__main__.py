"""``python -m credit_wallet`` is ``credit-wallet``."""

from __future__ import annotations

from credit_wallet.cli.app import main

if __name__ == "__main__":
    main()
