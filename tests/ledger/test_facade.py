"""The facade: one object with nouns on it, whose methods say of themselves what is true."""

from __future__ import annotations

import inspect
import pydoc
import re
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import credit_wallet
from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.ledger.nouns import Nouns
from credit_wallet.ledger.reading_lanes import ReadingLanes
from credit_wallet.ledger.wallet_corrections import WalletCorrections
from credit_wallet.ledger.wallet_history import WalletHistory
from credit_wallet.ledger.wallet_holds import WalletHolds
from credit_wallet.ledger.wallet_movements import WalletMovements
from credit_wallet.ledger.wallet_settings import WalletSettings

ROOT = Path(credit_wallet.__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "library.md").read_text(encoding="utf-8")

WITHOUT_A_TWIN = {"topups.request_automatic"}
"""What background jobs alone do."""


class Method(typing.NamedTuple):
    """``name`` is what a user writes after ``wallets.``"""

    name: str
    owner: type
    function: Callable[..., Any]


@cache
def nouns() -> dict[str, type]:
    """The attributes of an open wallet, and their classes."""
    with TemporaryDirectory() as folder, CreditWallet.open(f"sqlite:///{folder}/wallet.db") as wallets:
        names = ["reading_lanes", *(name for name in vars(Nouns) if not name.startswith("_"))]
        return {name: type(getattr(wallets, name)) for name in names}


def methods() -> Iterator[Method]:
    """All public methods, those of the nouns included."""
    own = [("", CreditWallet), ("", WalletMovements), ("", WalletSettings)]
    for prefix, owner in [*own, *((f"{name}.", noun) for name, noun in nouns().items() if noun is not ReadingLanes)]:
        for name, member in vars(owner).items():
            if not name.startswith("_"):
                function = getattr(member, "fget", None) or getattr(member, "__func__", member)
                yield Method(f"{prefix}{name}", owner, function)


METHODS = {method.name: method for method in methods()}
TWINS = {
    f"{noun}{dot}{name}": f"{noun}{dot}{name[1:]}"
    for noun, dot, name in (each.rpartition(".") for each in METHODS)
    if name.startswith("a") and f"{noun}{dot}{name[1:]}" in METHODS
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_def_of_its_own_that_grep_finds(name: str) -> None:
    method = METHODS[name]
    assert method.function.__qualname__ == f"{method.owner.__name__}.{name.rpartition('.')[2]}"
    assert re.search(rf"def {method.function.__name__}\(", inspect.getsource(method.function))
    assert "*args" not in str(inspect.signature(method.function))


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_says_of_itself_is_true_at_run_time(name: str) -> None:
    function = METHODS[name].function
    hints = typing.get_type_hints(function)
    parameters = [each for each in inspect.signature(function).parameters if each not in ("self", "cls")]
    assert set(hints) == {*parameters, "return"}
    assert str(inspect.signature(function)) in pydoc.plain(pydoc.render_doc(function))
    text = inspect.getdoc(function) or ""
    assert text.splitlines()[0].endswith("."), text


@pytest.mark.parametrize("name", TWINS)
def test_twins_differ_in_nothing_but_the_waiting(name: str) -> None:
    twin, original = METHODS[name].function, METHODS[TWINS[name]].function
    assert inspect.iscoroutinefunction(twin)
    assert not inspect.iscoroutinefunction(original)
    assert inspect.signature(twin) == inspect.signature(original)
    assert inspect.getdoc(twin) == f"The asyncio twin of ``{original.__name__}``."


def test_everything_that_moves_money_has_a_twin_and_an_outcome_of_its_own() -> None:
    moving = {
        name: typing.get_type_hints(method.function)["return"]
        for name, method in METHODS.items()
        if inspect.isclass(kind := typing.get_type_hints(method.function)["return"]) and issubclass(kind, Outcome)
    }
    assert Outcome not in moving.values()
    assert {name for name in moving if name not in TWINS} - WITHOUT_A_TWIN == {*TWINS.values()} - {
        "balance",
        "history",
        "charge_many",
        "transfers.create",
        "usage",
    }


@pytest.mark.parametrize("name", [name for name in METHODS if name not in TWINS])
def test_the_refusals_of_what_moves_money_are_named(name: str) -> None:
    kind = typing.get_type_hints(METHODS[name].function)["return"]
    if inspect.isclass(kind) and issubclass(kind, Outcome):
        assert "Raises" in (inspect.getdoc(METHODS[name].function) or "")


@pytest.mark.parametrize("name", METHODS)
def test_every_name_stands_in_the_reference(name: str) -> None:
    assert re.search(rf"`(?:CreditWallet\.)?{re.escape(name)}[`(]", REFERENCE), name


@pytest.mark.parametrize("noun", nouns())
def test_every_noun_is_a_class_in_a_file_of_its_own(noun: str) -> None:
    owner = nouns()[noun]
    assert owner.__mro__ == (owner, object)
    assert f"`wallets.{noun}`" in REFERENCE
    assert Path(inspect.getfile(owner)).stem in (noun, owner.__module__.rpartition(".")[2])


@pytest.mark.parametrize("noun", nouns())
def test_all_threads_have_the_same_noun(wallets: CreditWallet, noun: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        seen = [*threads.map(lambda _: getattr(wallets, noun), range(8))]
    assert len({*map(id, seen)}) == 1


def test_the_facade_inherits_its_movements_settings_and_nouns_alone() -> None:
    assert CreditWallet.__mro__ == (
        CreditWallet,
        WalletMovements,
        WalletHolds,
        WalletCorrections,
        WalletSettings,
        WalletHistory,
        Nouns,
        object,
    )


def test_outcomes_say_what_they_have(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    topped_up: int = wallets.topup(wallet_id, 1_000, idempotency_key="credit").txn_id
    charged = wallets.charge(wallet_id, 30, idempotency_key="charge")
    refunded: int = wallets.refund(charged.txn_id, 10, idempotency_key="refund").txn_id
    held = wallets.hold(wallet_id, 100, idempotency_key="hold")
    captured = wallets.capture(held.hold_id, 60)
    assert topped_up < charged.txn_id < refunded < captured.txn_id
    assert captured.hold_id == held.hold_id
    assert wallets.release(wallets.hold(wallet_id, 5, idempotency_key="another").hold_id).amount_yen == 5


def test_a_replay_is_of_the_kind_that_the_first_outcome_was(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    credit = wallets.topup(wallet_id, 1_000, idempotency_key="a").txn_id
    charged = wallets.charge(wallet_id, 30, idempotency_key="b").txn_id
    hold_ids = [wallets.hold(wallet_id, 10, idempotency_key=f"hold {number}").hold_id for number in range(2)]
    for move in (
        lambda: wallets.topup(wallet_id, 1_000, idempotency_key="a"),
        lambda: wallets.charge(wallet_id, 30, idempotency_key="b"),
        lambda: wallets.refund(charged, 10, idempotency_key="c"),
        lambda: wallets.reverse(credit, 10, idempotency_key="d"),
        lambda: wallets.hold(wallet_id, 10, idempotency_key="e"),
        lambda: wallets.capture(hold_ids[0], 5),
        lambda: wallets.release(hold_ids[1]),
        lambda: wallets.topups.request(wallet_id, 10, idempotency_key="f"),
    ):
        first, again = move(), move()
        assert type(first) is type(again)
        assert again.replayed
        assert (first.txn_id, first.hold_id, first.topup_id) == (again.txn_id, again.hold_id, again.topup_id)


def test_a_list_of_charges_has_outcomes_in_order_and_refusals_as_values(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="credit")
    outcomes = wallets.charge_many(
        [(wallet_id, 3, "a"), (wallet_id, 0, "b"), (wallet_id, 100, "c"), (wallet_id, 4, "d")]
    )
    assert [getattr(each, "code", None) or getattr(each, "balance_yen", None) for each in outcomes] == [
        7,
        "invalid_amount",
        "insufficient_funds",
        3,
    ]
