"""The tools that an agent is offered: what each is for, takes and answers, and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from msgspec import Struct, convert
from msgspec import ValidationError as Malformed

from credit_wallet.domain.money import format_yen
from credit_wallet.errors import PaymentsNotConfigured
from credit_wallet.mcp.accounts import Account
from credit_wallet.mcp.replies import NoArguments, TopupArguments, TopupGuide, TransactionsArguments, WalletStatus
from credit_wallet.payments.replies import TopupReply
from credit_wallet.rules.forecast import Forecast
from credit_wallet.wire.bodies import TransactionPage, WalletReply
from credit_wallet.wire.problems import body_refused


class Tool(NamedTuple):
    """A tool. ``reads_only``: calling it changes nothing. ``asks_outside``: it has the payment provider asked."""

    name: str
    title: str
    description: str
    takes: type[Struct]
    answers: type[Struct]
    run: Callable[[Account, Any], Awaitable[Struct]]
    reads_only: bool = True
    asks_outside: bool = False

    async def call(self, account: Account, arguments: dict[str, Any]) -> Struct:
        """What the tool answers. Raises ``WalletError``, also for arguments that are none."""
        try:
            asked = convert(arguments, self.takes)
        except Malformed as error:
            raise body_refused(error) from error
        return await self.run(account, asked)


async def _status(account: Account, _: NoArguments) -> WalletStatus:
    return WalletStatus.of(await account.wallet())


async def _transactions(account: Account, asked: TransactionsArguments) -> TransactionPage:
    return await account.transactions(
        limit=asked.limit, cursor=asked.cursor, type=asked.type, key_id=asked.key_id, note=asked.note
    )


async def _forecast(account: Account, _: NoArguments) -> Forecast:
    return await account.forecast()


async def _topup(account: Account, asked: TopupArguments) -> TopupGuide:
    wallet = await account.wallet()
    if wallet.key is not None:
        return _owner_must_pay(wallet, asked.amount_yen)
    try:
        topup = await account.topup(asked.amount_yen, checkout=True, idempotency_key=asked.idempotency_key)
    except PaymentsNotConfigured:
        return _operator_must_credit(wallet, asked.amount_yen)
    return _person_must_pay(wallet, topup)


def _owner_must_pay(wallet: WalletReply, amount_yen: int) -> TopupGuide:
    where = f" at {wallet.topup_url}" if wallet.topup_url else ""
    return TopupGuide(
        wallet_id=wallet.wallet_id,
        amount_yen=amount_yen,
        missing_yen=amount_yen,
        balance_yen=wallet.balance_yen,
        status="ask_the_owner",
        what_to_do=f"An agent key cannot pay. Ask the owner of wallet {wallet.wallet_id} to top up "
        f"{format_yen(amount_yen)}{where}.",
        topup_url=wallet.topup_url,
    )


def _operator_must_credit(wallet: WalletReply, amount_yen: int) -> TopupGuide:
    return TopupGuide(
        wallet_id=wallet.wallet_id,
        amount_yen=amount_yen,
        missing_yen=amount_yen,
        balance_yen=wallet.balance_yen,
        status="payments_not_configured",
        what_to_do="This installation takes no payments. Ask its operator to credit wallet "
        f"{wallet.wallet_id} with {format_yen(amount_yen)}.",
        topup_url=wallet.topup_url,
    )


def _person_must_pay(wallet: WalletReply, topup: TopupReply) -> TopupGuide:
    credited = topup.status == "credited"
    page = None if credited else topup.checkout_url or topup.action_url
    return TopupGuide(
        wallet_id=wallet.wallet_id,
        amount_yen=topup.amount_yen,
        missing_yen=0 if credited else topup.amount_yen,
        balance_yen=wallet.balance_yen,
        status=topup.status,
        what_to_do=_next_step(topup, page),
        topup_url=wallet.topup_url,
        topup_id=topup.topup_id,
        checkout_url=page,
    )


def _next_step(topup: TopupReply, page: str | None) -> str:
    amount = format_yen(topup.amount_yen)
    if topup.status == "credited":
        return f"Nothing: {amount} was paid and is in the wallet."
    if page is not None:
        return f"Open {page} in a browser and pay {amount}. The credit is there as soon as the payment is confirmed."
    return f"The top-up of {amount} is {topup.status}; ask for another one, with a new idempotency key."


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "credit_wallet_status",
            "Wallet status",
            "How much you can spend now (spendable_yen), the balance, the monthly budget and what is spent of it, and "
            "the cap of your own key. Look here before expensive work and after a call was refused with HTTP 402.",
            NoArguments,
            WalletStatus,
            _status,
        ),
        Tool(
            "credit_wallet_transactions",
            "Wallet transactions",
            "The wallet's ledger entries, newest first: charges (below zero), refunds and top-ups, with the agent key "
            "that paid and a note of what was called. For the next page give `next_cursor` as `cursor`.",
            TransactionsArguments,
            TransactionPage,
            _transactions,
        ),
        Tool(
            "credit_wallet_forecast",
            "Spending forecast",
            "Where spending is heading at this month's pace: yen a day, at the month's end, and when the balance and "
            "the budget run out.",
            NoArguments,
            Forecast,
            _forecast,
        ),
        Tool(
            "credit_wallet_topup",
            "Top up the wallet",
            "What a person must do to bring credit into the wallet. Pays nothing by itself: the owner's token gets a "
            "page of the payment provider's to pay on, an agent key gets the address to send the owner to. Pass on "
            "what_to_do and the address; then look at the status, and do not ask again and again.",
            TopupArguments,
            TopupGuide,
            _topup,
            reads_only=False,
            asks_outside=True,
        ),
    )
}
