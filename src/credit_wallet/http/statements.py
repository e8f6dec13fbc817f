"""Statements over HTTP: drawn up and sent in steps, so that the longest keeps nobody else waiting."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from typing import TypeVar

from credit_wallet.errors import ServiceBusy
from credit_wallet.http.streaming import Streamed
from credit_wallet.ledger.reading_lanes import REPORTS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.reports.statement import Drawing, StatementHead
from credit_wallet.reports.statement_forms import Form
from credit_wallet.runtime.deadlines import REPORT_SECONDS, Deadline
from credit_wallet.wire.auth import Caller, own_access

T = TypeVar("T")


async def stream_statement(
    wallets: CreditWallet, caller: Caller, cycle: str | None, form: Form, *, is_summary: bool = False
) -> Streamed:
    """The answer with a statement, or a summary; it begins once everything is added up.

    Raises ``Forbidden`` for callers without a wallet, ``ShareExceeded``, ``ServiceBusy`` and what ``Drawing`` raises.
    """
    access, steps = own_access(caller), _Steps(wallets, caller.share)
    with ExitStack() as held:
        held.enter_context(wallets.reading_lanes.report(caller.share))
        drawing = await steps.take(
            lambda: wallets.cycles.draw(
                access.wallet_id, cycle, viewer_key_id=access.viewer_key_id, is_summary=is_summary
            )
        )
        held.callback(drawing.close)
        while await steps.take(drawing.add_up):
            pass
        head = await steps.take(drawing.head)
        return Streamed(_pieces(steps, drawing, form, head), form.media_type, held.pop_all())


class _Steps:
    """Takes the steps of one report on the reports' lane, until its time is over."""

    def __init__(self, wallets: CreditWallet, share: int) -> None:
        self._wallets = wallets
        self._share = share
        self._deadline = Deadline(REPORT_SECONDS)

    async def take(self, step: Callable[[], T]) -> T:
        if self._deadline.passed:
            raise ServiceBusy(f"the report took longer than {REPORT_SECONDS:g} seconds; try again later")
        return await self._wallets.reading_lanes.ask_for(self._share, REPORTS, step)


async def _pieces(steps: _Steps, drawing: Drawing, form: Form, head: StatementHead) -> AsyncGenerator[bytes, None]:
    yield form.begin(head, drawing.layout).encode()
    if form.has_entries:
        for step in drawing.steps():
            yield await steps.take(lambda step=step: form.more(drawing.entries(step)).encode())  # type: ignore[misc]
    yield form.end().encode()
