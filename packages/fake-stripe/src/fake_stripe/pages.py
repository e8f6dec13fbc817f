"""What a person sees: a page to pay on, to answer the bank's question, or to pay a slip, with test money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from fake_stripe.account import Account
from fake_stripe.calls import BillingDetails, CardNumber, Confirmation, MethodData
from fake_stripe.failures import StripeFailure
from fake_stripe.intents import Intent
from fake_stripe.methods import Method
from fake_stripe.parameters import MAX_YEN
from fake_stripe.sessions import Session
from fake_stripe.vouchers import JAPAN, Voucher

CARDS = (
    ("4242424242424242", "Test card that pays", "4242 4242 4242 4242"),
    ("4000002500003155", "3-D Secure: the bank asks first", "4000 0025 0000 3155"),
    ("4000000000000002", "Declined", "4000 0000 0000 0002"),
    ("4000000000009995", "Declined: insufficient funds", "4000 0000 0000 9995"),
    ("4000000000000341", "Pays now, is declined when it is charged later", "4000 0000 0000 0341"),
)
LATER = (
    ("konbini", "Konbini", "pay a slip at a convenience store"),
    ("customer_balance", "Bank transfer", "to an account made for you"),
)
_SOMEONE = BillingDetails(email="someone@example.com", name="Test Money")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY}
_FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1a1f36; --quiet: #586074; --back: #f4f5f7; --sheet: #fff; --line: #d5d9e0;
  --go: #4338ca }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #eceef3; --quiet: #a3abbd; --back: #14161c; --sheet: #1e222b;
  --line: #3a4050; --go: #5b52e0 }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; background: var(--back); color: var(--ink) }}
header {{ background: #ffde8f; color: #1a1f36; padding: .6rem 1rem; text-align: center; font-weight: 600 }}
main {{ max-width: 30rem; margin: 2rem auto; padding: 1.5rem 2rem 2rem; background: var(--sheet);
  border-radius: .6rem }}
h1 {{ font-size: 1.4rem; margin: 0 0 1rem }}
fieldset {{ border: 1px solid var(--line); border-radius: .5rem; padding: 0; margin: 1rem 0 }}
legend {{ padding: 0 .3rem; margin-left: .8rem; color: var(--quiet) }}
fieldset label {{ display: grid; grid-template-columns: auto 1fr; column-gap: .6rem; padding: .6rem 1rem;
  align-items: baseline; border-top: 1px solid var(--line); cursor: pointer }}
fieldset label:first-of-type {{ border-top: 0 }}
small {{ color: var(--quiet); font-size: .875rem; grid-column: 2 }}
dl {{ display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem }}
dt {{ color: var(--quiet) }}
dd {{ margin: 0; font-variant-numeric: tabular-nums }}
input[type=number] {{ font: inherit; width: 9rem; padding: .4rem; margin: 0 .7rem 0 .5rem }}
button, a.no {{ font: inherit; display: inline-block; padding: .6rem 1.2rem; margin: .6rem .5rem 0 0; border: 0;
  border-radius: .4rem; background: var(--go); color: #fff; cursor: pointer; text-decoration: none }}
button.no, a.no {{ background: none; color: var(--ink); outline: 1px solid var(--quiet) }}
:focus-visible {{ outline: 3px solid #f59e0b; outline-offset: 2px }}
[role=alert] {{ background: #fde8e8; color: #771d1d; padding: .6rem 1rem; border-radius: .4rem }}
</style>
<header>TEST MONEY — no real payment is made here</header>
<main>
{body}
</main>
</html>
"""


@dataclass(frozen=True)
class _Page:
    """A page: its heading, and what stands below it, as HTML."""

    title: str
    body: str

    def answer(self, status: int = 200) -> web.Response:
        html = _FRAME.format(title=escape(self.title), body=f"<h1>{escape(self.title)}</h1>\n{self.body}")
        return web.Response(text=html, status=status, content_type="text/html", headers=_HEADERS)


class Pages:
    """The pages of an account's payments and Checkout Sessions."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def add_to(self, app: web.Application) -> None:
        """Answer browsers."""
        app.router.add_get("/pay/{id}", self._show_intent)
        app.router.add_post("/pay/{id}", self._change_intent)
        app.router.add_get("/checkout/{id}", self._show_session)
        app.router.add_post("/checkout/{id}", self._submit_session)

    async def _show_intent(self, request: web.Request) -> web.Response:
        async with self._account.busy:
            intent = self._intent(request)
            return (await self._of_intent(intent)).answer() if intent else _lost()

    async def _change_intent(self, request: web.Request) -> web.Response:
        form = _texts(await request.post())
        async with self._account.busy:
            intent = self._intent(request)
            if intent is None:
                return _lost()
            problem = ""
            try:
                await self._act(intent, form)
            except StripeFailure as failure:
                problem = str(failure)
            except ValueError as error:
                problem = str(error) if isinstance(error, _NoAmount) else "This has already been done."
            status = await self._account.intents.status(intent)
            if status == "succeeded" and (back := self._back(intent)) is not None:
                raise web.HTTPSeeOther(back)
            return (await self._of_intent(intent, problem)).answer()

    async def _act(self, intent: Intent, form: Mapping[str, str]) -> None:
        paying = self._account.paying
        match form.get("do"):
            case "authenticate":
                await paying.authenticate(intent, success=True)
            case "refuse":
                await paying.authenticate(intent, success=False)
            case "pay-voucher":
                await paying.pay_voucher(intent)
            case "transfer":
                await paying.fund(intent, _yen(form.get("amount_yen", "")))
            case "expire-voucher":
                await paying.expire_voucher(intent)
            case _:
                await paying.confirm(intent, confirmation(form.get("with", "")))

    async def _show_session(self, request: web.Request) -> web.Response:
        async with self._account.busy:
            session = await self._session(request)
            return (await self._of_session(session)).answer() if session else _lost()

    async def _submit_session(self, request: web.Request) -> web.Response:
        form = _texts(await request.post())
        async with self._account.busy:
            session = await self._session(request)
            if session is None:
                return _lost()
            try:
                intent = await self._account.sessions.submit(session, confirmation(form.get("with", "")))
            except StripeFailure as failure:
                return (await self._of_session(session, str(failure))).answer()
            if session.payment_status == "paid":
                raise web.HTTPSeeOther(session.after_success())
            raise web.HTTPSeeOther(self._account.page_of_intent(intent))

    def _intent(self, request: web.Request) -> Intent | None:
        """The PaymentIntent, if the visitor knows its secret."""
        try:
            intent = self._account.intents.find(request.match_info["id"])
        except StripeFailure:
            return None
        return intent if request.query.get("client_secret") == intent.client_secret else None

    async def _session(self, request: web.Request) -> Session | None:
        await self._account.sessions.expire_due()
        try:
            return self._account.sessions.find(request.match_info["id"])
        except StripeFailure:
            return None

    def _back(self, intent: Intent) -> str | None:
        """Where a person continues after paying."""
        session = self._account.sessions.of_intent(intent)
        if session is not None:
            return session.after_success()
        if intent.return_url is None:
            return None
        result = {
            "payment_intent": intent.id,
            "payment_intent_client_secret": intent.client_secret,
            "redirect_status": "succeeded",
        }
        return f"{intent.return_url}{'&' if urlsplit(intent.return_url).query else '?'}{urlencode(result)}"

    async def _of_session(self, session: Session, problem: str = "") -> _Page:
        amount = f"¥{session.amount_yen:,}"
        if session.status == "complete":
            return _Page("This page is complete", _link(session.after_success(), "Continue"))
        if session.status != "open":
            return _Page("This page has expired", _link(session.given.cancel_url, "Back"))
        names = ", ".join(escape(item.price_data.product_data.name) for item in session.given.line_items)
        back = _link(session.given.cancel_url, "Cancel")
        form = await self._form(amount, session.types, session.customer)
        return _Page(f"Pay {amount}", f"<p>{names}</p>{_alert(problem)}{form}{back}")

    async def _of_intent(self, intent: Intent, problem: str = "") -> _Page:
        amount = f"¥{intent.amount_yen:,}"
        status = await self._account.intents.status(intent)
        back = self._back(intent)
        link = _link(back, "Continue")
        if status == "succeeded":
            return _Page(f"{amount} is paid", link)
        if status not in ("requires_payment_method", "requires_confirmation", "requires_action"):
            return _Page(f"This payment of {amount} is {status}", link)
        if intent.voucher is not None:
            return _Page(f"Pay {amount} later", f"{_alert(problem)}{_slip(intent.voucher)}{link}")
        if status == "requires_action":
            return _Page(f"Your bank asks: pay {amount}?", f"{_alert(problem)}{_QUESTION}")
        if not problem and intent.failure is not None:
            problem = str(intent.failure["message"])
        form = await self._form(amount, intent.types, intent.customer)
        return _Page(f"Pay {amount}", f"{_alert(problem)}{form}{link}")

    async def _form(self, amount: str, types: Sequence[str], customer_id: str | None) -> str:
        """Every payment method that the customer may choose."""
        methods = [(saved.id, _saved(saved), "") for saved in self._account.methods.saved_by(customer_id)]
        if "card" in types:
            methods += CARDS
        methods += [each for each in LATER if each[0] in types]
        choices = "".join(
            f'<label><input type="radio" name="with" value="{escape(method)}"{" checked" if not place else ""}>'
            f" <span>{escape(text)}</span>{f' <small>{escape(detail)}</small>' if detail else ''}</label>"
            for place, (method, text, detail) in enumerate(methods)
        )
        return (
            f'<form method="post"><fieldset><legend>Pay with</legend>{choices}</fieldset>'
            f"<button>Pay {amount} with test money</button></form>"
        )


_QUESTION = (
    "<p>3-D Secure: the bank wants to know that it is you.</p>"
    '<form method="post"><button name="do" value="authenticate">Yes, it is me</button>'
    '<button class="no" name="do" value="refuse">No</button></form>'
)


def _slip(voucher: Voucher) -> str:
    if voucher.type == "konbini":
        rows = [
            ("Payment code", voucher.payment_code),
            ("Confirmation number", voucher.confirmation_number),
            ("Stores", "FamilyMart, Lawson, Ministop, Seicomart"),
            ("Pay until", _in_japan(voucher.expires_at)),
        ]
        buttons = (
            '<button name="do" value="pay-voucher">Pay at the konbini (test money)</button>'
            '<button class="no" name="do" value="expire-voucher">Let it expire</button>'
        )
    else:
        left = voucher.amount_yen - voucher.funded_yen
        account = voucher.account()
        rows = [
            ("Still to transfer", f"¥{left:,}"),
            ("Bank", f"{account['bank_name']} ({account['bank_code']})"),
            ("Branch", f"{account['branch_name']} ({account['branch_code']})"),
            ("Account", f"{account['account_type']} {account['account_number']}"),
            ("Account holder", account["account_holder_name"]),
        ]
        buttons = (
            f'<label>Yen <input type="number" name="amount_yen" value="{left}" min="1"></label>'
            '<button name="do" value="transfer">Transfer (test money)</button>'
        )
    table = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl>{table}</dl><form method="post">{buttons}</form>'


def _in_japan(seconds: int | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, JAPAN):%Y-%m-%d %H:%M} (Japan)"


class _NoAmount(ValueError):
    """What was typed in is not a number of yen."""


def _yen(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_YEN)) and int(text)):
        raise _NoAmount("Type in a whole number of yen.")
    return int(text)


def _saved(method: Method) -> str:
    return f"Saved card •••• {method.card.number[-4:]}" if method.card else method.type


def _alert(problem: str) -> str:
    return f'<p role="alert">{escape(problem)}</p>' if problem else ""


def _link(url: str | None, text: str) -> str:
    return f'<a class="no" href="{escape(url)}">{text}</a>' if url else ""


def _lost() -> web.Response:
    return _Page("Payment not found", "").answer(404)


def _texts(form: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def confirmation(method: str) -> Confirmation:
    """A customer who is there confirms with a saved card's id, a card's number, or a method that pays later."""
    if method.startswith("pm_"):
        return Confirmation(payment_method=method, use_stripe_sdk=True)
    if method == "konbini":
        data = MethodData(type="konbini", billing_details=_SOMEONE)
    elif method == "customer_balance":
        data = MethodData(type="customer_balance", billing_details=_SOMEONE)
    else:
        number = CardNumber(number=method, exp_month=12, exp_year=2040, cvc="123")
        data = MethodData(type="card", card=number, billing_details=_SOMEONE)
    return Confirmation(payment_method_data=data, use_stripe_sdk=True)
