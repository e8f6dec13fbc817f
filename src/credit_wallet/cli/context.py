"""What the commands share: global options, opening a ledger, showing a result, reading numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from credit_wallet.cli import console
from credit_wallet.config import DATABASE_URL
from credit_wallet.database_urls import database_url, without_password
from credit_wallet.domain.whole_numbers import whole_number

if TYPE_CHECKING:
    from credit_wallet.domain.acts import Author
    from credit_wallet.ledger.wallet import CreditWallet

Decorator = Callable[[Any], Any]
Pairs: TypeAlias = tuple[tuple[str, str], ...]

REFUSED = 1

MAX_NOTE_LENGTH = 500
"""Characters, as of every note."""

_SECONDS = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")


class GlobalOptions:
    """The options that every command takes, wherever they stand on the line."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was given, before a command line is read."""
        self.db: str | None = None
        self.json = False
        self.act_note: str | None = None
        self.warning: str | None = None
        """Printed last, on stderr."""

    @property
    def url(self) -> str:
        """The database to use."""
        return database_url(self.db)


options = GlobalOptions()


def take_db(_: click.Context, __: click.Parameter, url: str | None) -> None:
    """``--db``: the one nearest the end of the line counts."""
    if url is not None:
        options.db = url
        options.warning = password_warning(url)


def take_json(_: click.Context, __: click.Parameter, given: bool) -> None:
    """``--json``, before or after the command."""
    options.json = options.json or given


def take_act_note(_: click.Context, __: click.Parameter, note: str | None) -> None:
    """``--act-note``: the one nearest the end of the line counts."""
    if note is not None and not (0 < len(note) <= MAX_NOTE_LENGTH and note.isprintable()):
        raise click.BadParameter(f"must be 1 to {MAX_NOTE_LENGTH} printable characters.", param_hint="--act-note")
    options.act_note = note or options.act_note


def password_warning(url: str) -> str | None:
    """The warning for a password on the command line, where every user of the machine can read it."""
    if without_password(url) == url:
        return None
    return (
        "warning: every user of this machine can read the database password on the command line; "
        f"put the URL in {DATABASE_URL.name}, or the password in PGPASSWORD or a .pgpass file"
    )


def open_wallets(*, create: bool = False) -> CreditWallet:
    """The ledger that the options name.

    Raises ``NoLedger`` when it does not exist, lest a typing error make an empty one: only ``migrate``, ``serve``,
    ``wallet create`` and the target of ``copy`` may make a ledger, and ask for it with ``create``.
    """
    return ledger_at(options.url, create=create)


def ledger_at(url: str, *, create: bool) -> CreditWallet:
    """The ledger at ``url``."""
    from credit_wallet.ledger.wallet import CreditWallet

    return CreditWallet.open(url, create=create).acting(author())


def author() -> Author:
    """Who runs the command, for the log of acts."""
    from credit_wallet.domain.actors import OPERATOR
    from credit_wallet.domain.acts import Author

    return Author(OPERATOR, f"command line: {_user()}", note=options.act_note)


def _user() -> str:
    """The user of this machine who runs the command."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # no name and nothing in the environment, as in some containers
        return f"uid {os.getuid()}"


def show(value: object) -> None:
    """Print the result of a command, as a table or as JSON."""
    console.show(value, as_json=options.json)


class WholeNumber(click.ParamType):  # type: ignore[type-arg]  # generic only in the latest releases
    """Every whole number of the command line, in plain digits: ``1_0``, ``+3`` and ``3.0`` are wrong usage."""

    name = "integer"

    def __init__(self, low: int | None = None, high: int | None = None) -> None:
        self._low, self._high = low, high

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; wrong usage when it is none, or not between the bounds."""
        if isinstance(value, int):
            return value  # a default
        try:
            number = whole_number(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number in plain digits, such as 10.", param, ctx)
        if self._low is not None and self._high is not None and not self._low <= number <= self._high:
            self.fail(f"{number} is not in the range {self._low} to {self._high}.", param, ctx)
        return number


class Seconds(click.ParamType):  # type: ignore[type-arg]  # likewise
    """A number of seconds, ``low`` or more, with or without a fraction."""

    name = "seconds"

    def __init__(self, low: float) -> None:
        self._low = low

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; wrong usage when the text is not a number or the number is too small."""
        if isinstance(value, str) and not _SECONDS.fullmatch(value):
            self.fail(f"{value!r} is not a number of seconds, such as 2 or 0.5.", param, ctx)
        if float(value) < self._low:
            self.fail(f"{value} is less than {self._low:g} seconds.", param, ctx)
        return float(value)


class Exact(click.ParamType):  # type: ignore[type-arg]  # likewise
    """An amount or a quantity: plain digits with up to six places. ``1_0``, ``+3``, ``3.`` and ``1e3`` are wrong usage.

    It stays the text that was given: nothing is rounded on the way.
    """

    def __init__(self, name: str, *, signed: bool = False) -> None:
        self.name, self._signed = name, signed

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; wrong usage when it is not such a number. A ``signed`` one may begin with a minus."""
        from credit_wallet.domain.money import micros_of

        try:
            micros_of(value.removeprefix("-") if self._signed else value)
        except ValueError:
            self.fail(f"{value!r} is not a decimal in plain digits with up to six places, such as 3.30.", param, ctx)
        return value


class Pair(click.ParamType):  # type: ignore[type-arg]  # likewise
    """``KEY=VALUE``; ``example`` is one."""

    def __init__(self, name: str = "fact", example: str = "tool=search") -> None:
        self.name, self._example = name, example

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Key and value; wrong usage without both."""
        if isinstance(value, tuple):
            return value
        key, _, text = value.partition("=")
        if not (key and text):
            self.fail(f"{value!r} is not KEY=VALUE, such as {self._example}.", param, ctx)
        return key, text


INTEGER = WholeNumber()


def called(command: Any) -> Any:
    """``--request-id``, ``--reference`` and ``--metadata``: what a movement is called, as ``names``."""

    @wraps(command)
    def run(*, request_id: str | None, reference: str | None, metadata: Pairs, **others: Any) -> None:
        if len({key for key, _ in metadata}) < len(metadata):
            raise click.UsageError("Give each key of --metadata once.")
        names = {"request_id": request_id, "reference": reference, "metadata": dict(metadata)}
        command(names=names, **others)

    decorated: Any = run
    for decorate in (
        click.option(
            "--metadata",
            type=Pair("metadata", "order=17"),
            metavar="KEY=VALUE",
            multiple=True,
            help="Kept with the entry; repeatable.",
        ),
        click.option("--reference", metavar="TEXT", help="Your id of what this is about; finds the entry again."),
        click.option("--request-id", metavar="TEXT", help="Your id of the request; finds the entry again."),
    ):
        decorated = decorate(decorated)
    return decorated


def by_name(command: Any) -> Any:
    """``--request-id``, ``--reference`` and ``--key`` to find entries by, those that are given as ``names``."""

    @wraps(command)
    def run(*, request_id: str | None, reference: str | None, key: str | None, **others: Any) -> None:
        names = {"request_id": request_id, "reference": reference, "idempotency_key": key}
        command(names={name: value for name, value in names.items() if value is not None}, **others)

    decorated: Any = run
    for decorate in (
        click.option("--key", metavar="K", help="Only entries that were asked for with this idempotency key."),
        click.option("--reference", metavar="TEXT", help="Only entries with this reference."),
        click.option("--request-id", metavar="TEXT", help="Only entries of the request with this id."),
    ):
        decorated = decorate(decorated)
    return decorated


wallet_id = click.argument("wallet_id", type=INTEGER, metavar="ID")
key_id = click.argument("key_id", type=INTEGER, metavar="KEY_ID")
whole_yen = click.argument("yen", type=INTEGER, metavar="YEN")
yen = click.argument("yen", type=Exact("decimal"), metavar="YEN")
idempotency_key = click.option(
    "--key", metavar="K", required=True, help="Idempotency key: sending the same one again never moves money twice."
)
label = click.option("--label", metavar="TEXT", help="A name for people.")
metadata = click.option(
    "--metadata",
    type=Pair("metadata", "plan=pro"),
    metavar="KEY=VALUE",
    multiple=True,
    help="A pair of your own, which is searched; may be repeated. Those given replace all that there were.",
)
no_metadata = click.option("--no-metadata", is_flag=True, help="Remove all metadata.")
overlap_seconds = click.option(
    "--overlap-seconds",
    type=INTEGER,
    metavar="S",
    default=3600,
    show_default=True,
    help="Seconds that the old token keeps working; 0 ends it at once, for one that has leaked.",
)


def new_metadata(pairs: tuple[tuple[str, str], ...], no_metadata: bool) -> dict[str, Any]:
    """The setting that ``--metadata`` and ``--no-metadata`` ask for, if they do."""
    if pairs and no_metadata:
        raise click.UsageError("Give --metadata or --no-metadata, not both.")
    return {"metadata": dict(pairs)} if pairs or no_metadata else {}


def limit(default: int) -> Decorator:
    """``--limit``: the rows of one page."""
    return click.option(
        "--limit", type=INTEGER, metavar="N", default=default, show_default=True, help="Rows to show, up to 1,000."
    )


def ends(option: str, what: str) -> Decorator:
    """An option for a time at which something ends."""
    return click.option(option, metavar="T", help=f"{what}: a date (to the end of that day) or an ISO 8601 time.")


def after(metavar: str = "ID") -> Decorator:
    """``--after``: for the next page."""
    return click.option(
        "--after", type=INTEGER, metavar=metavar, default=0, help="Only ids above this one, for the next page."
    )


def agent_key(help_text: str) -> Decorator:
    """``--agent-key``: the key of one agent."""
    return click.option("--agent-key", type=INTEGER, metavar="KEY_ID", help=help_text)
