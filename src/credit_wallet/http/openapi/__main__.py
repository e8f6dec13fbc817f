"""``python -m credit_wallet.http.openapi``: prints the document."""

from __future__ import annotations

import json
import sys

from credit_wallet.http.app import documented
from credit_wallet.http.openapi.document import document_of

json.dump(document_of(documented()), sys.stdout, indent=2, ensure_ascii=False)
sys.stdout.write("\n")
