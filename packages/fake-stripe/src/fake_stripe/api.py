"""Stripe's HTTP API: who may ask, idempotency, and how answers look."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import deepcopy
from urllib.parse import parse_qsl

from aiohttp import web

from fake_stripe.account import Account
from fake_stripe.events import API_VERSION, CAUSE, Cause
from fake_stripe.failures import Json, StripeFailure
from fake_stripe.forms import nested
from fake_stripe.idempotency import Answer
from fake_stripe.ids import new_id
from fake_stripe.parameters import Parameters, read
from fake_stripe.routes import Route, routes

_log = logging.getLogger(__name__)
_TEST_KEYS = ("sk_test_", "rk_test_")


def add_api(app: web.Application, account: Account) -> None:
    """Answer Stripe's API, below ``/v1``."""
    for route in routes(account):
        app.router.add_route(route.method, route.path, _handler(account, route))
    app.router.add_route("*", "/v1/{rest:.*}", _unknown)


def _handler(account: Account, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return await _Call(account, route, request).answer()

    return handle


async def _unknown(request: web.Request) -> web.Response:
    failure = StripeFailure(404, f"Unrecognized request URL ({request.method}: {request.path}).")
    return web.json_response({"error": failure.error}, status=404)


class _Call:
    """A request on its way to its answer."""

    def __init__(self, account: Account, route: Route, request: web.Request) -> None:
        self._account = account
        self._route = route
        self._request = request
        self._id = new_id("req", 14)
        self._version = request.headers.get("Stripe-Version", API_VERSION)
        self._key = request.headers.get("Idempotency-Key") if route.method == "POST" else None

    async def answer(self) -> web.Response:
        try:
            self._authorise()
            given = nested(await self._pairs())
            answer = await (self._carry_out(given) if self._key is None else self._carry_out_once(self._key, given))
        except StripeFailure as failure:
            answer = self._refusal(failure)
        headers = {"Request-Id": self._id, "Stripe-Version": self._version}
        if self._key is not None:
            headers["Idempotency-Key"] = self._key
        if answer.request_id != self._id:
            headers |= {"Idempotent-Replayed": "true", "Original-Request": answer.request_id}
        return web.json_response(answer.body, status=answer.status, headers=headers)

    def _authorise(self) -> None:
        scheme, _, key = self._request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            with suppress(ValueError):
                key = b64decode(key).decode(errors="replace").partition(":")[0]
        if not key:
            raise StripeFailure(401, "You did not provide an API key.")
        if not key.startswith(_TEST_KEYS):
            raise StripeFailure(
                401, "Invalid API Key provided. This is a fake of Stripe for test money: use a key like sk_test_123."
            )

    async def _pairs(self) -> list[tuple[str, str]]:
        text = self._request.query_string
        if self._route.method != "GET":
            text = "&".join(filter(None, (text, (await self._request.read()).decode(errors="replace"))))
        return parse_qsl(text, keep_blank_values=True)

    async def _carry_out_once(self, key: str, given: Json) -> Answer:
        keys = self._account.keys
        replay = keys.begin(key, self._request.path, given)
        if replay is not None:
            return replay
        try:
            answer = await self._carry_out(given)
        except StripeFailure:
            keys.forget(key)
            raise
        keys.finish(key, answer)
        return answer

    async def _carry_out(self, given: Json) -> Answer:
        """The answer, an error as well; only what is refused before anything is done is raised."""
        parameters = read(self._route.parameters, given, self._version)
        async with self._account.busy:
            CAUSE.set(Cause(self._id, self._key))
            try:
                return Answer(200, await self._act(parameters), self._id)
            except StripeFailure as failure:
                return self._refusal(failure)
            except Exception:
                _log.exception("The fake of Stripe failed to answer %s %s", self._request.method, self._request.path)
                return self._refusal(StripeFailure(500, "The fake of Stripe has failed; see its log.", "api_error"))

    async def _act(self, parameters: Parameters) -> Json:
        await self._account.sessions.expire_due()
        body = await self._route.action(self._request.match_info.get("id", ""), parameters)
        if parameters.expand:
            body = deepcopy(body)
            await self._account.expand(body, parameters.expand)
        return body

    def _refusal(self, failure: StripeFailure) -> Answer:
        return Answer(failure.status, {"error": failure.error}, self._id)
