"""Screenshots of every page in every look, with the wallets of ``sample_ledgers``: ``make screenshots``.

    python tests/support/screenshots.py [FOLDER] [--only WORD ...] [--sample NAME ...] [--all] [--axe] [--readme]

A file is called ``PAGE.SAMPLE.SCREEN.LOOK.LANGUAGE.png``. The lively wallet is shown on every screen, in every look and
language; the others on a phone, dark, in Japanese, and on a desktop, light, in English, unless there is ``--all``.
``--only activity`` takes pages with that word in their name. ``--axe`` also says what axe-core finds; ``--readme``
writes the pictures of the README instead. ``--sample large`` builds the large ledger first.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import large_ledger
from browsing import DESKTOP, PHONE, Language, Look, Page, Screen, Watch, axe_findings, chromium
from clock import Clock
from fake_stripe import FakeStripe
from installation import Installation
from playwright.sync_api import Browser
from sample_ledgers import START, build
from service import OPERATOR_KEY
from shown_pages import ANYBODY, CONSOLE, CUSTOMER, WALLET, addresses, known_of
from site_of_pages import METHODS, Site, running_site

from credit_wallet import CreditWallet
from credit_wallet.runtime.steady_clock import utc_now

ROOT = Path(__file__).resolve().parents[2]

README = {
    "owner": ("wallet", "overview"),
    "operator": ("console", "overview"),
}
"""The pictures that the README shows, in ``docs/images``: of the lively wallet's owner and of the operator."""

SAMPLES = ("lively", "empty", "in_debt", "strange", "large")


class Setting(NamedTuple):
    """How a page is looked at."""

    name: str
    screen: Screen
    look: Look
    language: Language

    def __str__(self) -> str:
        return f"{self.name}.{self.look}.{self.language}"


_LOOKS: tuple[Look, ...] = ("light", "dark")
_LANGUAGES: tuple[Language, ...] = ("en", "ja")
EVERY = [
    Setting(name, screen, look, language)
    for name, screen in (("phone", PHONE), ("desktop", DESKTOP))
    for look in _LOOKS
    for language in _LANGUAGES
]
TWO = [Setting("phone", PHONE, "dark", "ja"), Setting("desktop", DESKTOP, "light", "en")]


class Subject(NamedTuple):
    """Whose pages are looked at: the addresses by name, and with what somebody signs in."""

    name: str
    sample: str
    base: str
    pages: dict[str, str]
    secret: str | None
    known: dict[str, str]

    def wanted(self, words: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The name and the address of each page that has one of ``words`` in its name, of all without any."""
        asked = list(words)
        for page, address in addresses(self.pages, self.base, self.known).items():
            name = f"{self.name}-{page}" + (f".{self.sample}" if self.sample else "")
            if not asked or any(word in name for word in asked):
                yield name, address


def main() -> None:
    given = _options().parse_args()
    folder: Path = ROOT / "docs" / "images" if given.readme else given.folder
    folder.mkdir(parents=True, exist_ok=True)
    samples = ["lively"] if given.readme else given.sample or SAMPLES[:-1]
    small = [each for each in samples if each != "large"]
    if small:
        with _small_site() as (site, subjects):
            _look(site, [each for each in subjects if each.sample in ("", *small)], folder, given)
    if "large" in samples:
        with _large_site() as (site, subjects):
            _look(site, subjects, folder, given)


def _options() -> ArgumentParser:
    options = ArgumentParser(description="Screenshots of the pages.")
    options.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "screenshots")
    options.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="pages with this word in their name"
    )
    options.add_argument("--sample", action="append", choices=SAMPLES, help="the wallets to show")
    options.add_argument("--all", action="store_true", help="every sample in every look")
    options.add_argument("--axe", action="store_true", help="say what axe-core finds")
    options.add_argument("--readme", action="store_true", help="write the pictures of the README")
    return options


@contextmanager
def _small_site() -> Iterator[tuple[Site, list[Subject]]]:
    """The ledger of ``sample_ledgers``, whose time stands still."""
    clock = Clock(START)
    with (
        TemporaryDirectory(prefix="credit-wallet-") as folder,
        FakeStripe(clock=lambda: clock().timestamp()) as fake,
        CreditWallet.open(f"sqlite:///{folder}/wallet.db", clock=clock) as wallets,
    ):
        made = build(Installation(wallets, fake, clock, methods=METHODS))._asdict()
        with running_site(wallets, clock, fake) as site:
            everybody = Subject("anybody", "", "", ANYBODY, None, {})
            console = Subject("console", "", "/console", CONSOLE, OPERATOR_KEY, {})
            yield (
                site,
                [
                    everybody,
                    console,
                    *(
                        each
                        for name, one in made.items()
                        for each in _of(wallets, name, one.wallet_id, one.owner_token)
                    ),
                ],
            )


@contextmanager
def _large_site() -> Iterator[tuple[Site, list[Subject]]]:
    """The ledger of ``large_ledger``, now."""
    path = large_ledger.ledger(large_ledger.kept())
    clock = Clock(utc_now())
    with (
        FakeStripe() as fake,
        CreditWallet.open(f"sqlite:///{path}", clock=clock) as wallets,
        running_site(wallets, clock, fake) as site,
    ):
        console = Subject("console", "large", "/console", CONSOLE, OPERATOR_KEY, {})
        yield site, [console, *_of(wallets, "large", large_ledger.WALLET_ID, large_ledger.OWNER_TOKEN)]


def _of(wallets: CreditWallet, sample: str, wallet_id: int, token: str) -> list[Subject]:
    """The pages of a wallet, for its owner and for operators."""
    known = known_of(wallets, wallet_id)
    return [
        Subject("wallet", sample, "/wallet", WALLET, token, known),
        Subject("customer", sample, f"/console/wallets/{wallet_id}", CUSTOMER, OPERATOR_KEY, known),
    ]


def _look(site: Site, subjects: list[Subject], folder: Path, given: Namespace) -> None:
    with chromium() as browser:
        for subject in subjects:
            addresses = _readme_pictures(subject) if given.readme else dict(subject.wanted(given.only))
            for setting in _settings(subject, given) if addresses else []:
                _take(browser, site, subject, setting, addresses, folder, given)


def _settings(subject: Subject, given: Namespace) -> list[Setting]:
    if given.readme:
        return [Setting("desktop", DESKTOP, "light", "en")]
    return EVERY if given.all or subject.sample in ("", "lively") else TWO


def _readme_pictures(subject: Subject) -> dict[str, str]:
    """The addresses of the README's pictures among the pages of ``subject``, by their file's name."""
    return {name: f"{subject.base}{subject.pages[page]}" for name, (who, page) in README.items() if who == subject.name}


def _take(
    browser: Browser,
    site: Site,
    subject: Subject,
    setting: Setting,
    addresses: dict[str, str],
    folder: Path,
    given: Namespace,
) -> None:
    """Visit ``addresses`` and take a picture of each; what is wrong is printed."""
    watch = Watch(browser, site.url)
    page = watch.new_page(screen=setting.screen, look=setting.look, language=setting.language)
    if subject.secret is not None:
        site.sign_in(page, subject.secret)
    for name, address in addresses.items():
        answer = page.goto(address)
        page.wait_for_load_state("load")
        if address.startswith("/docs"):
            page.locator(".opblock-tag").first.wait_for()
        path = folder / (f"{name}.png" if given.readme else f"{name}.{setting}.png")
        page.screenshot(path=path, full_page=not given.readme, animations="disabled")
        for problem in _problems(page, given.axe, answer.status if answer else 0, watch):
            print(f"{path.name}: {problem}", file=sys.stderr)  # noqa: T201
    watch.close()


def _problems(page: Page, axe: bool, status: int, watch: Watch) -> Iterator[str]:
    if status >= 400:
        yield f"status {status}"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        yield f"{wide} px wider than the screen"
    yield from watch.faults
    watch.faults.clear()
    if axe:
        yield from map(str, axe_findings(page))


if __name__ == "__main__":
    main()
