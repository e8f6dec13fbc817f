"""Idempotency keys as Stripe documents them (https://docs.stripe.com/api/idempotent_requests)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_stripe.failures import StripeFailure, invalid

Json = dict[str, Any]

MAX_KEY_LENGTH = 255
KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    body: Json
    request_id: str


@dataclass
class _Use:
    path: str
    parameters: Json
    began_at: float
    answer: Answer | None = None
    """None while the request is in progress."""


class IdempotencyKeys:
    """The idempotency keys of the last 24 hours, and the answer to each request."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def begin(self, key: str, path: str, parameters: Json) -> Answer | None:
        """The answer to replay, or None: carry out the request, then call ``finish`` or ``forget``."""
        if len(key) > MAX_KEY_LENGTH:
            raise invalid(f"Idempotency keys can have at most {MAX_KEY_LENGTH} characters.")
        use = self._uses.get(key)
        if use is None or (use.answer is not None and self._clock() >= use.began_at + KEPT_SECONDS):
            self._uses[key] = _Use(path, parameters, self._clock())
            return None
        other = f"Try using a key other than '{key}' if you meant to execute a different request."
        if use.path != path:
            raise _misused(f"can only be used for the same endpoint they were first used for ('{use.path}'). {other}")
        if use.parameters != parameters:
            raise _misused(f"can only be used with the same parameters they were first used with. {other}")
        if use.answer is None:
            raise StripeFailure(
                409,
                "There is currently another in-progress request using this Idempotent Key (that probably means you"
                f" submitted twice, and the other request is still going through): {key}. Please try again later.",
                "idempotency_error",
                code="idempotency_key_in_use",
            )
        return use.answer

    def finish(self, key: str, answer: Answer) -> None:
        """Keep the answer, an error as well."""
        self._uses[key].answer = answer

    def forget(self, key: str) -> None:
        """The request was refused before it was carried out; the idempotency key can be used again."""
        del self._uses[key]


def _misused(how: str) -> StripeFailure:
    return StripeFailure(400, f"Keys for idempotent requests {how}", "idempotency_error")
