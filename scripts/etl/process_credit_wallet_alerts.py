"""The hourly alert job at the path the seed contract names; the job itself is ``credit_wallet.stores.jobs.alert_job``.

python scripts/etl/process_credit_wallet_alerts.py --db FILE [--cycle YYYY-MM] [--dry-run] [-v]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # a plain checkout: nothing installed

from credit_wallet.cli.alert_job import main

if __name__ == "__main__":
    sys.exit(main())
