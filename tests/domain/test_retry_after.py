"""``Retry-After`` is read one way wherever an answer may carry it: a receiver of notices, the service, Stripe.

What may stand there: seconds; IMF-fixdate; RFC 850 with two digits of a year; asctime, whose day may be one digit.
"""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from credit_wallet.client import responses
from credit_wallet.delivery.outbound import NotDelivered
from credit_wallet.delivery.sender import _require_taken
from credit_wallet.domain.retry_after import LONGEST_SECONDS, retry_after_seconds

NOW = datetime(2026, 11, 6, 8, 49, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("37", 37),
        (" 120\t", 120),
        ("00120", 120),
        ("9" * 500, LONGEST_SECONDS),
        ("Fri, 06 Nov 2026 08:49:37 GMT", 37),
        ("Friday, 06-Nov-26 08:49:37 GMT", 37),
        ("Fri Nov  6 08:49:37 2026", 37),
        ("Fri Nov 06 08:49:37 2026", 37),
        ("Fri Nov 6 08:49:37 2026", 37),
        ("Sat Nov 14 08:49:00 2026", 8 * 86_400),
        ("Fri, 06 Nov 2026 08:49:60 GMT", 59),  # a leap second
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
        ("Friday, 06-Nov-76 08:49:00 GMT", LONGEST_SECONDS),  # 2076, 50 years ahead
        ("Sunday, 06-Nov-77 08:49:00 GMT", 0),  # 1977: no date is more than 50 years ahead
        ("Tue, 31 Dec 9999 23:59:59 GMT", LONGEST_SECONDS),
    ],
)
def test_seconds_and_the_three_forms_of_a_date_are_read(value: str, seconds: float) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "1, 2",
        "\u0663",
        "Fri, 06 Nov 2026 08:49:37 -0000",
        "Fri, 06 Nov 2026 08:49:37 +0900",
        "Fri, 31 Nov 2026 08:49:37 GMT",
        "Fri, 06 Nov 0000 08:49:37 GMT",
        "Fri, 06 Nov 2026 24:00:00 GMT",
        "fri nov  6 08:49:37 2026",
        "2026-11-06T08:49:37Z",
    ],
)
def test_what_is_neither_asks_for_nothing(value: str | None) -> None:
    assert retry_after_seconds(value, NOW) is None


FORMS = ["120", "%a, %d %b %Y %T GMT", "%A, %d-%b-%y %T GMT", "%a %b %e %T %Y"]


@pytest.mark.parametrize("form", FORMS)
def test_a_receiver_of_notices_may_use_any_form(form: str) -> None:
    then = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 120, UTC)
    with pytest.raises(NotDelivered) as refusal:
        _require_taken(httpx.Response(503, headers={"retry-after": then.strftime(form)}))
    assert 110 < refusal.value.retry_after_seconds <= 120


@pytest.mark.parametrize("form", FORMS)
def test_the_client_takes_any_form_from_the_service(form: str) -> None:
    then = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 120, UTC)
    asked = responses.retry_after_seconds(responses.Response(503, {"retry-after": then.strftime(form)}, b""))
    assert asked is not None
    assert 110 < asked <= 120
