"""What the page about the API loads: from this service, as gzip for whoever takes it, and kept for ever."""

from __future__ import annotations

import gzip
import re

import pytest
from http_answers import assert_problem
from service import Api

from credit_wallet.pages.assets import asset_address

LOADED = re.compile(r'(?:href|src)="(/docs/[^"]+)"')
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


def test_the_page_names_nothing_but_addresses_of_this_service(api: Api) -> None:
    page = api.get("/docs").text
    assert len(LOADED.findall(page)) == 4
    assert "//" not in re.sub(r"<!.*?>", "", page)
    assert " style=" not in page
    assert "<script>" not in page


def test_its_files_are_named_by_their_content_and_may_be_kept(api: Api) -> None:
    for address in LOADED.findall(api.get("/docs").text):
        answer = api.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == TYPES[address.rpartition(".")[2]]
        assert_problem(api.get(re.sub(r"-[0-9a-f]{16}", "-0123456789abcdef", address)), 404, "not_found")


@pytest.mark.parametrize(
    ("accepted", "as_gzip"),
    [
        ("gzip", True),
        ("br, gzip, deflate", True),
        ("GZIP;q=0.5", True),
        ("gzip;q=1.0", True),
        ("gzip; q=0", False),
        ("gzip;q=0.000", False),
        ("identity", False),
        ("gzipped", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("what", ["/openapi.json", "a file of /docs", "a file of pages"])
def test_who_takes_gzip_gets_it(api: Api, what: str, accepted: str, as_gzip: bool) -> None:
    named = {"a file of /docs": LOADED.findall(api.get("/docs").text)[0], "a file of pages": asset_address("pages.css")}
    address = named.get(what, what)
    answer = api.call("GET", address, headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") == as_gzip
    assert answer.headers["vary"] == "accept-encoding"
    plain = api.call("GET", address, headers={"Accept-Encoding": "identity"})
    assert answer.content == plain.content
    assert int(answer.headers["content-length"]) == (
        len(gzip.compress(plain.content, mtime=0)) if as_gzip else len(plain.content)
    )
