"""The tools of an agent: what each is for, its arguments, its result, and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from msgspec import Struct, convert, structs
from msgspec import ValidationError as Malformed

from credit_wallet.domain.money import format_yen
from credit_wallet.errors import Forbidden, PaymentsNotConfigured
from credit_wallet.mcp.replies import NoArguments, TopupArguments, TopupGuide, TransactionsArguments, WalletStatus
from credit_wallet.mcp.wallets import Wallet
from credit_wallet.payments.replies import TopupReply
from credit_wallet.rules.forecast import Forecast
from credit_wallet.wire.problems import body_refused
from credit_wallet.wire.replies import TransactionPage, WalletReply


class Tool(NamedTuple):
    """A tool. ``is_read_only``: calling it changes nothing. ``is_open_world``: it may call the payment provider."""

    name: str
    title: str
    description: str
    arguments: type[Struct]
    result: type[Struct]
    run: Callable[[Wallet, Any], Awaitable[Struct]]
    is_read_only: bool = True
    is_open_world: bool = False

    async def call(self, wallet: Wallet, arguments: dict[str, Any]) -> Struct:
        """The tool's result. Raises ``WalletError``, for malformed arguments too."""
        try:
            asked = convert(arguments, self.arguments)
        except Malformed as error:
            raise body_refused(error) from error
        return await self.run(wallet, asked)


async def _status(wallet: Wallet, _: NoArguments) -> WalletStatus:
    return WalletStatus.of(await wallet.wallet())


async def _transactions(wallet: Wallet, asked: TransactionsArguments) -> TransactionPage:
    return await wallet.transactions(**structs.asdict(asked))


async def _forecast(wallet: Wallet, _: NoArguments) -> Forecast:
    return await wallet.forecast()


async def _topup(wallet: Wallet, asked: TopupArguments) -> TopupGuide:
    shown = await wallet.wallet()
    if shown.key is not None and "manage" not in shown.key.scopes:
        if "spend" not in shown.key.scopes:
            raise Forbidden(f"agent key {shown.key.key_id} may only read; ask the owner for another key")
        return _owner_must_pay(shown, asked.amount_yen)
    try:
        topup = await wallet.topup(asked.amount_yen, checkout=True, idempotency_key=asked.idempotency_key)
    except PaymentsNotConfigured:
        return _operator_must_credit(shown, asked.amount_yen)
    return _person_must_pay(shown, topup)


def _owner_must_pay(wallet: WalletReply, amount_yen: int) -> TopupGuide:
    where = f" at {wallet.topup_url}" if wallet.topup_url else ""
    return TopupGuide(
        wallet_id=wallet.wallet_id,
        amount_yen=amount_yen,
        missing_yen=amount_yen,
        balance_micros=wallet.balance_micros,
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
        balance_micros=wallet.balance_micros,
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
        balance_micros=wallet.balance_micros,
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
        return f"Open {page} in a browser and pay {amount}. The credit arrives as soon as the payment is confirmed."
    return f"The top-up of {amount} is {topup.status}. Request another one with a new idempotency key."


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "credit_wallet_status",
            "Wallet status",
            "Shows how much you can spend now (`spendable_yen`), the balance, and every budget that limits your "
            "charges, with what is left of it and when it starts anew. Check it before expensive work, and after a "
            "call was refused with HTTP 402 or 429.",
            NoArguments,
            WalletStatus,
            _status,
        ),
        Tool(
            "credit_wallet_transactions",
            "Wallet transactions",
            "Lists the wallet's ledger entries, newest first: charges (negative amounts), refunds and top-ups. Each "
            "has the agent key that paid and a note that names the call; `request_id`, `reference` and "
            "`idempotency_key` find the entries of one call. To get the next page, pass `next_cursor` as "
            "`cursor`.",
            TransactionsArguments,
            TransactionPage,
            _transactions,
        ),
        Tool(
            "credit_wallet_forecast",
            "Spending forecast",
            "Projects spending at this month's pace: yen per day, the total at the end of the month, and when the "
            "balance and the budget will run out.",
            NoArguments,
            Forecast,
            _forecast,
        ),
        Tool(
            "credit_wallet_topup",
            "Top up the wallet",
            "Returns what a person must do to add credit to the wallet. It never pays on its own: with the owner's "
            "token it creates a payment page, with an agent key it returns where the owner can pay. Pass `what_to_do` "
            "and the address on to a person, then check credit_wallet_status; do not call this tool repeatedly.",
            TopupArguments,
            TopupGuide,
            _topup,
            is_read_only=False,
            is_open_world=True,
        ),
    )
}
