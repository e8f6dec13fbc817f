"""What a person sees: a page to pay on, to answer the bank's question, or to pay a slip, with test money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from fake_stripe.account import Account
from fake_stripe.calls import BillingDetails, CardNumber, Confirmation, MethodData
from fake_stripe.failures import StripeFailure
from fake_stripe.intents import Intent
from fake_stripe.methods import Method
from fake_stripe.sessions import Session
from fake_stripe.vouchers import Voucher

CARDS = (
    ("4242424242424242", "4242 4242 4242 4242: pays"),
    ("4000002500003155", "4000 0025 0000 3155: the bank asks first (3-D Secure)"),
    ("4000000000000002", "4000 0000 0000 0002: is declined"),
    ("4000000000009995", "4000 0000 0000 9995: has insufficient funds"),
    ("4000000000000341", "4000 0000 0000 0341: can be saved, is declined when charged"),
)
LATER = (
    ("konbini", "Konbini: pay a slip at a convenience store"),
    ("customer_balance", "Bank transfer"),
)
_SOMEONE = BillingDetails(email="someone@example.com", name="Test Money")

_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f4f5f7; color: #1a1f36 }}
header {{ background: #ffde8f; padding: .6rem 1rem; text-align: center; font-weight: 600 }}
main {{ max-width: 30rem; margin: 2rem auto; padding: 1.5rem 2rem 2rem; background: #fff; border-radius: .6rem }}
h1 {{ font-size: 1.4rem; margin: 0 0 1rem }}
label {{ display: block; padding: .3rem 0 }}
button {{ font: inherit; padding: .6rem 1.2rem; margin: 1rem .5rem 0 0; border: 0; border-radius: .4rem;
  background: #4338ca; color: #fff; cursor: pointer }}
button.no {{ background: #fff; color: #1a1f36; outline: 1px solid #a3acb9 }}
[role=alert] {{ background: #fde8e8; padding: .6rem 1rem; border-radius: .4rem }}
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
            except ValueError:
                problem = "This has already been done."
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
        if session.status != "open":
            link = _link(session.after_success(), "Continue") if session.status == "complete" else ""
            return _Page(f"This page is {session.status}", link)
        names = ", ".join(escape(item.price_data.product_data.name) for item in session.given.line_items)
        back = _link(session.given.cancel_url, "Back") if session.given.cancel_url else ""
        form = await self._form(amount, session.types, session.customer)
        return _Page(f"Pay {amount}", f"<p>{names}</p>{_alert(problem)}{form}{back}")

    async def _of_intent(self, intent: Intent, problem: str = "") -> _Page:
        amount = f"¥{intent.amount_yen:,}"
        status = await self._account.intents.status(intent)
        back = self._back(intent)
        link = _link(back, "Continue") if back else ""
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
        methods = [(saved.id, _saved(saved)) for saved in self._account.methods.saved_by(customer_id)]
        if "card" in types:
            methods += CARDS
        methods += [(kind, text) for kind, text in LATER if kind in types]
        choices = "".join(
            f'<label><input type="radio" name="with" value="{escape(method)}"{" checked" if not place else ""}>'
            f" {escape(text)}</label>"
            for place, (method, text) in enumerate(methods)
        )
        return f'<form method="post">{choices}<button>Pay {amount} with test money</button></form>'


_QUESTION = (
    "<p>3-D Secure: the bank wants to know that it is you.</p>"
    '<form method="post"><button name="do" value="authenticate">Yes, it is me</button>'
    '<button class="no" name="do" value="refuse">No</button></form>'
)


def _slip(voucher: Voucher) -> str:
    if voucher.type == "konbini":
        text = f"Payment code {voucher.payment_code}, confirmation number {voucher.confirmation_number}."
        later = '<button class="no" name="do" value="expire-voucher">Let it expire</button>'
        doing = "Pay at the konbini"
    else:
        left = voucher.amount_yen - voucher.funded_yen
        text = f"Transfer ¥{left:,} to account {voucher.account_number}."
        later = ""
        doing = f"Transfer ¥{left:,}"
    return (
        f'<p>{text}</p><form method="post"><button name="do" value="pay-voucher">{doing} (test money)</button>'
        f"{later}</form>"
    )


def _saved(method: Method) -> str:
    return f"Saved card •••• {method.card.number[-4:]}" if method.card else method.type


def _alert(problem: str) -> str:
    return f'<p role="alert">{escape(problem)}</p>' if problem else ""


def _link(url: str, text: str) -> str:
    return f'<p><a href="{escape(url)}">{text}</a></p>'


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
