"""What a response of the service means: a value, or the error that the library itself would have raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import DecodeError, Struct, json, structs

from credit_wallet.domain import retry_after
from credit_wallet.domain.documents import from_builtins, from_json
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import ServiceUnreachable, UnexpectedResponse, WalletError
from credit_wallet.wire.problems import TYPE_PREFIX
from credit_wallet.wire.replies import BatchReply

T = TypeVar("T")

_STANDARD_MEMBERS = ("type", "title", "status", "detail", "code")
_SHOWN_BYTES = 200


class Response(Struct, frozen=True):
    """A response of the service; the names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the call was carried out."""
        return 200 <= self.status < 300


class NoResponse(Struct, frozen=True):
    """Nothing came back; with ``sent`` the service may have carried it out all the same."""

    reason: str
    sent: bool


def read_as(kind: type[T]) -> Callable[[Response], T]:
    """Reads a response's body as ``kind``. Raises ``UnexpectedResponse``."""

    def read(response: Response) -> T:
        try:
            return from_json(response.content, kind)
        except DecodeError as error:
            raise _unexpected(response, f"its body is not of the expected kind ({error})") from error

    return read


_read_movement = read_as(Outcome)
_read_batch = read_as(BatchReply)


def read_outcome(response: Response) -> Outcome:
    """A movement of money, with the budget warning from its header."""
    outcome = _read_movement(response)
    warning = response.headers.get("x-wallet-warn", "")
    return structs.replace(outcome, warn_pct=int(warning)) if warning.isdecimal() else outcome


def read_outcomes(response: Response) -> list[Outcome | WalletError]:
    """The items of a batch, in order."""
    return [
        refusal_of(item) if str(item.get("type", "")).startswith(TYPE_PREFIX) else from_builtins(item, Outcome)
        for item in _read_batch(response).outcomes
    ]


def read_text(response: Response) -> str:
    """The body as text, without the byte order mark that a CSV begins with."""
    return response.content.decode("utf-8-sig")


def error_of(response: Response | NoResponse) -> WalletError:
    """Why a call was not carried out, or that this is unknown."""
    if isinstance(response, NoResponse):
        outcome = "it may have been carried out" if response.sent else "it was not carried out"
        return ServiceUnreachable(
            f"the service did not answer ({response.reason}); {outcome}: send it again with the same idempotency key",
            sent=response.sent,
        )
    try:
        document = json.decode(response.content, type=dict[str, Any])
    except DecodeError:
        return _unexpected(response, "it is not a problem document; does the URL lead to the service?")
    return refusal_of(document) if "code" in document else _unexpected(response, "its document has no code")


def refusal_of(document: Mapping[str, Any]) -> WalletError:
    """The library's error that a problem document (RFC 9457) stands for."""
    code, detail = document["code"], str(document.get("detail", ""))
    details = {name: value for name, value in document.items() if name not in _STANDARD_MEMBERS}
    kind = _kinds().get(code)
    if kind is None:
        error: WalletError = UnexpectedResponse(
            f"the service refused with {code!r}, which this release does not know: {detail}",
            code=code,
            status=document.get("status"),
        )
    else:
        error = kind.__new__(kind)
        WalletError.__init__(error, detail)  # a kind may be raised with other arguments, and its text is here already
    error.details.update(details)
    return error


def retry_after_seconds(response: Response | NoResponse) -> float | None:
    """How long the service asks to wait; None if it does not say."""
    if not isinstance(response, Response):
        return None
    return retry_after.retry_after_seconds(response.headers.get("retry-after"), datetime.now(UTC))


def _unexpected(response: Response, why: str) -> UnexpectedResponse:
    begins = response.content[:_SHOWN_BYTES].decode(errors="replace")
    return UnexpectedResponse(
        f"the response with status {response.status} is unexpected: {why}", status=response.status, body=begins
    )


def _kinds() -> dict[str, type[WalletError]]:
    """Every error by its code, including those that only a caller over HTTP gets."""
    return {kind.code: kind for kind in _subclasses(WalletError)}


def _subclasses(kind: type[WalletError]) -> Iterator[type[WalletError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)
