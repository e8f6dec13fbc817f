"""A wallet's statement for one billing cycle: what came in, what went out, who spent it, and every entry between.

The figures are made in ``statement_figures``, step by step when there are many; ``statement_forms`` writes them down.
"""

from __future__ import annotations

from credit_wallet.reports.statement_figures import Drawing, Statement, StatementHead, statement
from credit_wallet.reports.statement_forms import CSV_ENCODING, Rows, pieces_of, to_csv, to_json, to_text

__all__ = [
    "CSV_ENCODING",
    "Drawing",
    "Rows",
    "Statement",
    "StatementHead",
    "pieces_of",
    "statement",
    "to_csv",
    "to_json",
    "to_text",
]
