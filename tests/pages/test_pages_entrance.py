"""Coming in and going out: tokens, cookies that are stolen or old, and what a browser is told to keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clock import Clock
from service import Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.wire import people


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create(label="shop")


def test_a_token_opens_the_pages_and_is_not_kept_by_the_browser(api: Api, wallet: CreatedWallet) -> None:
    visitor = Visitor(api)
    answer = visitor.fill("/sign-in", "/sign-in", token=f"  {wallet.owner_token}\n")
    assert answer.status_code == 303
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert wallet.owner_token not in cookie
    assert visitor.get("/").headers["location"] == "/wallet"
    assert "shop" in visitor.get("/wallet").text


@pytest.mark.parametrize("token", ["", "nonsense", "cw_live_" + "x" * 49, "x" * 600, "鍵"])
def test_what_is_no_token_is_refused_at_its_field(api: Api, token: str) -> None:
    visitor = Visitor(api)
    answer = visitor.fill("/sign-in", "/sign-in", token=token)
    assert answer.status_code == 401
    assert 'aria-invalid="true"' in answer.text
    assert set(visitor.cookies) == {"cw_visit"}


def test_a_sellers_token_opens_no_pages(api: Api, wallets: CreditWallet) -> None:
    answer = Visitor(api).fill("/sign-in", "/sign-in", token=wallets.sellers.create().token)
    assert answer.status_code == 403
    assert "no pages" in answer.text


def test_guessing_is_slowed_down(api: Api) -> None:
    visitor = Visitor(api)
    fields = visitor.form(visitor.get("/sign-in").text, "/sign-in")
    statuses = [visitor.send("/sign-in", {**fields, "token": f"cw_live_{n}"}).status_code for n in range(40)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_sign_out_ends_the_session_and_not_only_the_cookie(api: Api, wallet: CreatedWallet) -> None:
    visitor = Visitor(api).sign_in(wallet.owner_token)
    stolen = dict(visitor.cookies)
    answer = visitor.fill("/wallet/keys", "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    thief = Visitor(api)
    thief.cookies = stolen
    answer = thief.get("/wallet/keys")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/wallet/keys")


@pytest.fixture
def nothing_is_believed_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "BELIEVED_SECONDS", 0.0)


@pytest.mark.usefixtures("nothing_is_believed_unseen")
def test_a_session_gets_another_secret_in_time_and_the_earlier_one_ends(
    api: Api, wallet: CreatedWallet, clock: Clock
) -> None:
    visitor = Visitor(api).sign_in(wallet.owner_token)
    first = dict(visitor.cookies)
    form = visitor.csrf("/wallet/keys")
    clock.advance(minutes=11)
    visitor.get("/wallet/keys")
    assert visitor.cookies["cw_session"] != first["cw_session"]
    assert visitor.csrf("/wallet/keys") == form  # a form that was open in another tab can still be sent
    late = Visitor(api)
    late.cookies = dict(first)
    assert late.get("/wallet/keys").status_code == 200  # a request that was under way
    clock.advance(minutes=2)
    late.cookies = dict(first)
    assert late.get("/wallet/keys").status_code == 303
    assert visitor.get("/wallet/keys").status_code == 200


@pytest.mark.usefixtures("nothing_is_believed_unseen")
def test_a_session_ends_when_it_is_not_used(api: Api, wallet: CreatedWallet, clock: Clock) -> None:
    visitor = Visitor(api).sign_in(wallet.owner_token)
    clock.advance(minutes=31)
    assert visitor.get("/wallet/keys").status_code == 303


def test_a_session_ends_with_the_token_that_opened_it(api: Api, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    visitor = Visitor(api).sign_in(wallet.owner_token)
    wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=0)
    answer = visitor.get("/wallet/keys")
    assert answer.status_code == 303
    assert "cw_session" not in visitor.cookies


def test_the_cookies_of_a_service_behind_tls_are_its_own_alone(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with Api(new_app(wallets, public_url="https://wallet.test")) as api:
        visitor = Visitor(api)
        fields = visitor.form(visitor.get("/sign-in").text, "/sign-in")
        answer = visitor.send("/sign-in", {**fields, "token": wallet.owner_token}, origin="https://wallet.test")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-cw_session=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


def test_a_cookie_that_comes_twice_counts_as_none(api: Api, wallet: CreatedWallet) -> None:
    """A neighbour under the same domain can plant a second one."""
    visitor = Visitor(api).sign_in(wallet.owner_token)
    secret = visitor.cookies["cw_session"]
    answer = Visitor(api).get("/wallet/keys", cookie=f"cw_session={secret}; cw_session=planted")
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("query", "cookie"),
    [
        ("language=ja", "cw_language=ja"),
        ("theme=dark", "cw_theme=dark"),
        ("zone=Asia/Tokyo", "cw_zone=Asia/Tokyo"),
    ],
)
def test_what_a_person_likes_is_remembered(api: Api, query: str, cookie: str) -> None:
    visitor = Visitor(api)
    answer = visitor.get(f"/sign-in?next=/wallet&{query}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fwallet")
    assert any(header.startswith(f"{cookie};") for header in answer.headers.get_list("set-cookie"))
    assert visitor.get("/sign-in").status_code == 200


@pytest.mark.parametrize("query", ["language=xx", "theme=%0aset-cookie:x", "zone=../../etc/passwd", "zone=Mars/Base"])
def test_what_nobody_can_like_is_passed_over(api: Api, query: str) -> None:
    answer = Visitor(api).get(f"/sign-in?{query}")
    assert answer.status_code == 200
    assert not any("cw_language" in each or "cw_theme" in each or "cw_zone" in each for each in answer.headers.values())


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ja", "ja"),
        ("en-GB,en;q=0.9,ja;q=0.8", "en"),
        ("fr,ja-JP;q=0.5", "ja"),
        ("fr", "en"),
        ("ja;q=x,en;q=0.1", "en"),
    ],
)
def test_a_page_speaks_the_browsers_language(api: Api, accepted: str, language: str) -> None:
    assert f'<html lang="{language}"' in Visitor(api, accepted).get("/").text


def test_head_is_get_without_the_page(api: Api) -> None:
    answer = api.call("HEAD", "/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1_000


def test_a_person_who_mistypes_an_address_gets_a_page_and_a_program_a_problem(api: Api) -> None:
    for path in ("/walet", "/operator/nothing"):
        assert "nothing at this address" in Visitor(api).get(path).text
        problem = api.get(path)
        assert (problem.status_code, problem.json()["code"]) == (404, "not_found")


def test_files_are_named_by_what_is_in_them_and_kept(api: Api) -> None:
    page = Visitor(api).get("/").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = api.get(address)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert api.get("/assets/pages.css").status_code == 404
    assert api.get("/assets/../app.py").status_code == 404


@pytest.mark.usefixtures("nothing_is_believed_unseen")
@pytest.mark.parametrize("path", ["/wallet/documents/2026-05/statement.csv", "/wallet/spending.csv", "/wallet/nothing"])
def test_whatever_is_answered_brings_the_new_secret(api: Api, wallet: CreatedWallet, clock: Clock, path: str) -> None:
    visitor = Visitor(api).sign_in(wallet.owner_token)
    clock.advance(minutes=11)
    visitor.get(path)
    clock.advance(minutes=2)
    assert visitor.get("/wallet/keys").status_code == 200
