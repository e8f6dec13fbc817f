"""A person who visits the pages without a browser: keeps cookies, finds the forms on a page, and sends them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode

import httpx
from service import Api

FORM = "application/x-www-form-urlencoded"
ORIGIN = "http://wallet.test"


class Visitor:
    """Cookies and forms, over an application in this process."""

    def __init__(self, api: Api, language: str = "en") -> None:
        self._api = api
        self._language = language
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """The answer to a look at ``path``; nobody follows a redirection."""
        return self._kept(self._api.call("GET", path, headers=self._headers(headers)))

    def send(self, path: str, fields: Mapping[str, object], **headers: str) -> httpx.Response:
        """The answer to a form as it stands in ``fields``."""
        given = {"content-type": FORM, "origin": ORIGIN, **headers}
        content = urlencode(fields, doseq=True).encode()
        return self._kept(self._api.call("POST", path, content=content, headers=self._headers(given)))

    def fill(self, page: str, path: str, **fields: object) -> httpx.Response:
        """The answer to the form for ``path`` that stands on ``page``, with these fields filled in."""
        return self.send(path, {**self.form(self.get(page).text, path), **fields})

    def form(self, html: str, path: str) -> dict[str, object]:
        """The hidden fields of the form for ``path`` on a page."""
        return hidden_fields(html, path)

    def csrf(self, page: str = "/") -> str:
        """The token against forgery of this session."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert found is not None, page
        return found[1]

    def sign_in(self, token: str) -> Visitor:
        """Sign in as a person does."""
        answer = self.fill("/sign-in", "/sign-in", token=token)
        assert answer.status_code == 303, answer.text
        return self

    def _headers(self, given: Mapping[str, str]) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        own = {"accept": "text/html", "accept-language": self._language} | ({"cookie": cookies} if cookies else {})
        return own | {name.replace("_", "-"): value for name, value in given.items()}

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            if "max-age=0" in header.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer


def hidden_fields(html: str, path: str) -> dict[str, object]:
    """What a form for ``path`` carries along: its hidden fields."""
    found = re.search(rf'<form[^>]*action="{re.escape(path)}"[^>]*>(.*?)</form>', html, re.DOTALL)
    assert found is not None, f"no form for {path}"
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[1])
    return {name: unescape(value) for name, value in fields}
