"""Parameters are read strictly: like Stripe, an unknown or malformed one is an error. ``calls`` has the known ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct, ValidationError, convert

from fake_stripe.failures import StripeFailure, invalid

Json = dict[str, Any]

MIN_YEN = 50
MAX_YEN = 99_999_999
DYNAMIC_METHODS_SINCE = "2026-09-30"
"""Versions of the API from here on refuse ``payment_method_types``."""

Metadata = dict[str, str] | Literal[""]

_FORBIDDEN_IN_DESCRIPTOR = re.compile(r"[<>\\'\"*]")
_MAX_DESCRIPTOR_LENGTH = 22
_MAX_METADATA_KEYS = 50
_MAX_METADATA_KEY_LENGTH = 40
_MAX_METADATA_VALUE_LENGTH = 500


class Parameters(Struct, forbid_unknown_fields=True, kw_only=True):
    """What every call knows."""

    expand: list[str] = []


class Nested(Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters within a parameter."""


class Span(Nested):
    """A filter by time, in seconds since 1970."""

    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


class ListParameters(Parameters):
    """What every list knows."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: Span | int | None = None

    def created_in(self, moment: int) -> bool:
        """Whether something that was created then is wanted."""
        if not isinstance(self.created, Span):
            return self.created in (None, moment)
        span = self.created
        return (
            (span.gt is None or moment > span.gt)
            and (span.gte is None or moment >= span.gte)
            and (span.lt is None or moment < span.lt)
            and (span.lte is None or moment <= span.lte)
        )


class MetadataUpdate(Parameters):
    """For objects of which only the metadata may be changed."""

    metadata: Metadata | None = None

    def __post_init__(self) -> None:
        check_metadata(self.metadata)


P = TypeVar("P", bound=Parameters)


def read(kind: type[P], given: Mapping[str, Any], version: str) -> P:
    """The parameters of a call, for a version of the API; a StripeFailure names the one that is wrong."""
    if version >= DYNAMIC_METHODS_SINCE and "payment_method_types" in given:
        raise invalid(
            "payment_method_types is no longer supported as of this API version; use allowed_payment_method_types or"
            " excluded_payment_method_types instead.",
            "payment_method_types",
            "payment_method_types_no_longer_supported",
        )
    try:
        return convert(given, kind, strict=False)
    except ValidationError as error:
        raise _explained(str(error)) from None


def _explained(message: str) -> StripeFailure:
    what, _, place = message.partition(" - at `$")
    path = place.rstrip("`").removeprefix(".")
    named = re.search(r"`([^`]*)`$", what)
    if named and "missing required field" in what:
        param = _param(path, named[1])
        return invalid(f"Missing required param: {param}.", param, "parameter_missing")
    if named and "unknown field" in what:
        param = _param(path, named[1])
        return invalid(f"Received unknown parameter: {param} (unknown to this fake)", param, "parameter_unknown")
    param = _param(path)
    if what.startswith("Expected `int`"):
        return invalid(f"Invalid integer: {param} ({what})", param, "parameter_invalid_integer")
    if what.startswith(("Length of object", "Expected `str`, got")):
        return invalid(f"Invalid string: {param} ({what})", param, "parameter_invalid_string")
    return invalid(f"Invalid {param}: {what}", param)


def _param(path: str, *more: str) -> str:
    """A parameter's name as Stripe writes it, ``line_items[0][quantity]`` for ``line_items[0].quantity``."""
    first, *rest = [part for part in re.split(r"[.\[\]]+", path) if part] + list(more)
    return first + "".join(f"[{part}]" for part in rest)


def matches(pattern: str, event_type: str) -> bool:
    """Whether an event's type is the one that is asked for; a ``*`` at the end matches anything."""
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern


def merged(kept: dict[str, str], given: Metadata | None) -> dict[str, str]:
    """Metadata after an update: an empty value unsets its key, and an empty string unsets all."""
    if given == "":
        return {}
    return {key: value for key, value in (kept | (given or {})).items() if value != ""}


def check_amount(amount: int) -> None:
    """Refuse an amount that Stripe does not accept."""
    if amount < 1:
        raise too_little("amount")
    if amount < MIN_YEN:
        raise invalid(f"Amount must be at least ¥{MIN_YEN} jpy", "amount", "amount_too_small")
    if amount > MAX_YEN:
        raise invalid(f"Amount must be no more than ¥{MAX_YEN:,} jpy", "amount", "amount_too_large")


def check_currency(currency: str) -> None:
    """Refuse every currency but yen."""
    if currency.lower() != "jpy":
        raise invalid(f"Invalid currency: {currency}. This fake knows jpy only.", "currency")


def too_little(param: str, minimum: int = 1) -> StripeFailure:
    message = f"This value must be greater than or equal to {minimum}."
    return invalid(message, param, "parameter_invalid_integer")


def check_url(param: str, url: str | None) -> None:
    if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        raise invalid("Not a valid URL", param, "url_invalid")


def check_metadata(metadata: Metadata | None) -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > _MAX_METADATA_KEYS:
        raise invalid(f"You can have at most {_MAX_METADATA_KEYS} metadata keys.", "metadata")
    for key, value in metadata.items():
        if len(key) > _MAX_METADATA_KEY_LENGTH or len(value) > _MAX_METADATA_VALUE_LENGTH:
            raise invalid(
                f"Metadata keys can have at most {_MAX_METADATA_KEY_LENGTH} characters, values at most"
                f" {_MAX_METADATA_VALUE_LENGTH}.",
                f"metadata[{key}]",
            )


def check_descriptor(suffix: str | None) -> None:
    if suffix and (len(suffix) > _MAX_DESCRIPTOR_LENGTH or _FORBIDDEN_IN_DESCRIPTOR.search(suffix)):
        raise invalid(
            f"The statement descriptor suffix can have at most {_MAX_DESCRIPTOR_LENGTH} characters and none of"
            " <>\\'\"*.",
            "statement_descriptor_suffix",
        )
