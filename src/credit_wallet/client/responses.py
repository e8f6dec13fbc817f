"""What an answer of the service means: a value, or the refusal that the library itself would have raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import DecodeError, Struct, convert, json, structs

from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import ServiceUnreachable, UnexpectedAnswer, WalletError
from credit_wallet.runtime import retry_after
from credit_wallet.wire.bodies import BatchReply
from credit_wallet.wire.problems import TYPE_PREFIX

T = TypeVar("T")

_STANDARD_MEMBERS = ("type", "title", "status", "detail", "code")
_SHOWN_BYTES = 200


class Answer(Struct, frozen=True):
    """What the service answered; the names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether what was asked is done."""
        return 200 <= self.status < 300


class NoAnswer(Struct, frozen=True):
    """Nothing came back; ``sent`` says that the service may have done it all the same."""

    reason: str
    sent: bool


def read_as(kind: type[T]) -> Callable[[Answer], T]:
    """Reads an answer's body as ``kind``. Raises ``UnexpectedAnswer``."""
    decoder = json.Decoder(kind)

    def read(answer: Answer) -> T:
        try:
            return decoder.decode(answer.content)
        except DecodeError as error:
            raise _unexpected(answer, f"its body is not what was asked for ({error})") from error

    return read


_read_movement = read_as(Outcome)
_read_batch = read_as(BatchReply)


def read_outcome(answer: Answer) -> Outcome:
    """A movement, with the budget warning that travels in a header."""
    outcome = _read_movement(answer)
    warning = answer.headers.get("x-wallet-warn", "")
    return structs.replace(outcome, warn_pct=int(warning)) if warning.isdecimal() else outcome


def read_outcomes(answer: Answer) -> list[Outcome | WalletError]:
    """The items of a batch, in order."""
    return [
        refusal_of(item) if str(item.get("type", "")).startswith(TYPE_PREFIX) else convert(item, Outcome)
        for item in _read_batch(answer).outcomes
    ]


def read_text(answer: Answer) -> str:
    """The body as text, without the byte order mark that a CSV begins with."""
    return answer.content.decode("utf-8-sig")


def error_of(answer: Answer | NoAnswer) -> WalletError:
    """Why a call was not carried out, or that nobody knows."""
    if isinstance(answer, NoAnswer):
        outcome = "it may have been carried out" if answer.sent else "it was not carried out"
        return ServiceUnreachable(
            f"the service did not answer ({answer.reason}); {outcome}: send it again with the same idempotency key",
            sent=answer.sent,
        )
    try:
        document = json.decode(answer.content, type=dict[str, Any])
    except DecodeError:
        return _unexpected(answer, "it is no problem document; does the address lead to the service?")
    return refusal_of(document) if "code" in document else _unexpected(answer, "its document has no code")


def refusal_of(document: Mapping[str, Any]) -> WalletError:
    """The library's error that a problem document (RFC 9457) stands for."""
    code, detail = document["code"], str(document.get("detail", ""))
    details = {name: value for name, value in document.items() if name not in _STANDARD_MEMBERS}
    kind = _kinds().get(code)
    if kind is None:
        error: WalletError = UnexpectedAnswer(
            f"the service refused with {code!r}, which this release does not know: {detail}",
            code=code,
            status=document.get("status"),
        )
    else:
        error = kind(detail)
    error.details.update(details)
    return error


def retry_after_seconds(answer: Answer | NoAnswer) -> float | None:
    """How long the service asks to wait; None when it does not say."""
    if not isinstance(answer, Answer):
        return None
    return retry_after.retry_after_seconds(answer.headers.get("retry-after"), datetime.now(UTC))


def _unexpected(answer: Answer, why: str) -> UnexpectedAnswer:
    begins = answer.content[:_SHOWN_BYTES].decode(errors="replace")
    return UnexpectedAnswer(
        f"the answer with status {answer.status} is unexpected: {why}", status=answer.status, body=begins
    )


def _kinds() -> dict[str, type[WalletError]]:
    """Every error by its code, those that only a caller over HTTP can get included."""
    return {kind.code: kind for kind in _subclasses(WalletError)}


def _subclasses(kind: type[WalletError]) -> Iterator[type[WalletError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)
