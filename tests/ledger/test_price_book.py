"""The price book of a ledger: applied as a whole, all versions kept, counting in every process from the next batch on.

The adversaries: a price that begins this very instant, prices that change between two processes and within a batch, two
who apply at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from plain_sql import PlainSql
from priced import NOON, SEARCH, TIERED, cost

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import InsufficientFunds, InvalidAmount, InvalidRequest, ItemNotPriced, WalletNotFound

pytestmark = on_every_database


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def test_a_charge_by_item_costs_its_price_and_says_by_which_version(wallets: CreditWallet, payer: int) -> None:
    assert wallets.prices.apply(SEARCH.format("3.30")).version == 1
    charged = wallets.charge(payer, item="search", quantity=3, idempotency_key="a")
    assert (charged.amount, charged.balance, charged.price_version) == (Decimal("9.9"), Decimal("990.1"), 1)
    [entry, _] = wallets.history(payer)
    assert (entry.item, entry.quantity, entry.price_version) == ("search", Decimal(3), 1)


def test_what_is_not_priced_is_refused_with_what_is(wallets: CreditWallet, payer: int) -> None:
    with pytest.raises(ItemNotPriced, match="apply a price file first"):
        wallets.charge(payer, item="search", idempotency_key="a")
    wallets.prices.apply(SEARCH.format(3) + '[[price]]\nitem = "secret"\nunit_price_yen = 1\nwallet_id = 99\n')
    with pytest.raises(
        ItemNotPriced, match="there is no price for item 'serach'; items with a price: search"
    ) as refusal:
        wallets.charge(payer, item="serach", idempotency_key="a")
    assert refusal.value.details == {"item": "serach", "items": ["search"]}
    assert wallets.show(payer).balance == 1_000
    assert cost(wallets, payer, "a") == 3  # the key was not used up


def test_a_retry_costs_what_the_first_try_did_whatever_the_prices_are_by_then(
    wallets: CreditWallet, payer: int
) -> None:
    wallets.prices.apply(SEARCH.format("3.30"))
    first = wallets.charge(payer, item="search", idempotency_key="a")
    wallets.prices.apply(SEARCH.format(4))
    again = wallets.charge(payer, item="search", idempotency_key="a")
    assert (again.replayed, again.amount, again.price_version) == (True, first.amount, 1)
    assert cost(wallets, payer, "b") == 4


def test_a_quantity_that_costs_more_than_a_movement_can_be_is_refused(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(10**12))
    with pytest.raises(InvalidAmount, match="use a smaller quantity"):
        wallets.charge(payer, item="search", quantity=2, idempotency_key="a")
    with pytest.raises(InsufficientFunds):
        wallets.charge(payer, item="search", idempotency_key="a")


def test_what_is_free_has_an_entry(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(0))
    charged = wallets.charge(payer, item="search", idempotency_key="a")
    assert (str(charged.amount), str(charged.balance)) == ("0", "1000")
    assert wallets.history(payer)[0].item == "search"
    assert wallets.verify() == []


def test_a_wallets_own_price_and_its_groups_count_before_everybodys(wallets: CreditWallet, payer: int) -> None:
    other = wallets.create().wallet_id
    general, group = SEARCH.format(3), SEARCH.format(2) + 'group = "partners"\n'
    wallets.prices.apply(general + group + SEARCH.format(1) + f"wallet_id = {payer}\n")
    assert [wallets.prices.get("search", wallet_id).unit_price for wallet_id in (payer, other, None)] == [1, 3, 3]
    wallets.configure(other, price_group="partners")
    assert wallets.prices.get("search", other).unit_price == 2
    assert cost(wallets, payer, "a") == 1
    wallets.configure(payer, price_group="partners")
    assert cost(wallets, payer, "b") == 1

    wallets.prices.apply(general + group)  # its own price is removed: its group's counts
    assert cost(wallets, payer, "c") == 2
    wallets.configure(payer, price_group=None)
    assert cost(wallets, payer, "d") == 3


def test_a_price_counts_from_its_instant_on_and_not_a_millisecond_earlier(
    wallets: CreditWallet, payer: int, clock: Clock
) -> None:
    wallets.prices.apply(SEARCH.format(3) + SEARCH.format(4) + "valid_from = 2026-12-01T00:00:00+09:00\n")
    begins = datetime(2026, 11, 30, 15, tzinfo=UTC)
    seen = []
    for number, moment in enumerate((begins - timedelta(milliseconds=1), begins, begins + timedelta(days=40))):
        clock.set(moment)
        seen.append(cost(wallets, payer, str(number)))
    assert seen == [3, 4, 4]


def test_an_item_that_is_announced_cannot_be_bought_yet(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(3) + "valid_from = 2026-12-01T00:00:00Z\n")
    with pytest.raises(ItemNotPriced, match=r"has a price from 2026-12-01T00:00:00\.000Z on"):
        cost(wallets, payer, "a")


@pytest.mark.partitions
def test_the_same_prices_again_make_no_version(wallets: CreditWallet) -> None:
    text = SEARCH.format("3.30")
    first = wallets.prices.apply(text)
    assert [(change.change, change.item, change.after) for change in first.changes] == [("added", "search", "¥3.3")]
    again = wallets.prices.apply("# the same prices\n" + SEARCH.format("3.3"))
    assert (again.version, again.changes) == (1, ())
    assert wallets.prices.apply(SEARCH.format(4)).version == 2
    assert wallets.prices.apply(text).version == 3
    assert [version.version for version in wallets.prices.versions()] == [3, 2, 1]
    assert [version.version for version in wallets.prices.versions(before=3, limit=1)] == [2]


def test_a_version_says_when_and_by_whom_it_was_applied_and_of_what_text(wallets: CreditWallet, clock: Clock) -> None:
    text = SEARCH.format(3)
    wallets.acting(Author("operator", "ann")).prices.apply(text)
    clock.set(NOON - timedelta(days=1))
    wallets.prices.apply(SEARCH.format(4))
    later, first = wallets.prices.versions()
    assert first.applied_by == "ann"
    assert first.sha256 == sha256(text.encode()).hexdigest()
    assert later.applied_at == first.applied_at == "2026-11-28T12:00:00.000Z"  # never before its predecessor


def test_diff_says_what_would_change_and_changes_nothing(wallets: CreditWallet, tmp_path: Path) -> None:
    wallets.prices.apply(SEARCH.format(3))
    file = tmp_path / "prices.toml"
    file.write_text(SEARCH.format("3.30") + '[[price]]\nitem = "fetch"\nunit_price_yen = 1\n')
    changes = wallets.prices.diff(file)
    assert [(each.change, each.item, each.before, each.after) for each in changes] == [
        ("added", "fetch", None, "¥1"),
        ("changed", "search", "¥3", "¥3.3"),
    ]
    assert wallets.prices.diff(str(file)) == wallets.prices.diff("\ufeff" + file.read_text()) == changes
    assert len(wallets.prices.versions()) == 1
    assert wallets.prices.apply(file).changes == tuple(changes)
    assert wallets.prices.diff(file) == []


def test_a_wrong_file_changes_nothing(wallets: CreditWallet, tmp_path: Path) -> None:
    wallets.prices.apply(SEARCH.format(3))
    with pytest.raises(InvalidRequest, match="price 1: unit_price_yen must be exact: quote it"):
        wallets.prices.apply("[[price]]\nitem = 'search'\nunit_price_yen = 3.3\n")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        wallets.prices.apply(tmp_path / "no.toml")
    with pytest.raises(InvalidRequest, match=r"the price file no.toml cannot be read: No such file or directory$"):
        wallets.prices.apply("no.toml")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n")
    (tmp_path / "large").write_text("#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(InvalidRequest, match="more than 4,194,304 bytes"):
        wallets.prices.apply(tmp_path / "large")
    with pytest.raises(InvalidRequest, match="must be text in UTF-8"):
        wallets.prices.apply(tmp_path / "bytes")
    assert [version.version for version in wallets.prices.versions()] == [1]


def test_every_price_comes_back_as_it_was_applied(wallets: CreditWallet) -> None:
    text = (
        TIERED
        + SEARCH.format("0.000001")
        + 'per = 1000000000000\ngroup = "partners"\n'
        + SEARCH.format(10**12)
        + "wallet_id = 9223372036854775807\nvalid_from = 2027-01-01T00:00:00Z\n"
    )
    applied = wallets.prices.apply(text)
    assert wallets.prices.diff(text) == []
    assert wallets.prices.apply(text).version == applied.version == 1
    [tiered] = wallets.prices.list()
    assert [(tier.up_to, tier.unit_price) for tier in tiered.tiers] == [
        (1_000, 0),
        (2_000, Decimal("0.2")),
        (None, Decimal("0.1")),
    ]


@pytest.mark.partitions
def test_a_list_of_the_past_is_of_the_version_that_counted_then(wallets: CreditWallet, clock: Clock) -> None:
    def listed(at: str | datetime) -> list[tuple[str, int]]:
        return [(str(price.unit_price), price.version) for price in wallets.prices.list(at=at)]

    wallets.prices.apply(SEARCH.format(3))
    clock.advance(hours=1)
    wallets.prices.apply(SEARCH.format(4) + SEARCH.format(5) + "valid_from = 2027-01-01T00:00:00Z\n")
    assert listed("2026-11-28T11:59:59Z") == []
    assert listed("2026-11-28T12:30:00Z") == [("3", 1)]
    assert listed(NOON + timedelta(hours=1)) == [("4", 2)]
    assert listed("2027-01-01T00:00:00Z") == [("5", 2)]
    assert [price.unit_price for price in wallets.prices.announced()] == [5]
    for wrong in ("tomorrow", datetime(2026, 11, 28), "2026-11-28T12:00:00", 3):  # noqa: DTZ001
        if wrong != "2026-11-28T12:00:00":
            with pytest.raises(InvalidRequest, match="at must be an ISO 8601 time"):
                wallets.prices.list(at=wrong)  # type: ignore[arg-type]
    with pytest.raises(WalletNotFound):
        wallets.prices.list(wallet_id=99)


def test_a_quote_is_what_a_charge_would_cost(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(TIERED)
    cost(wallets, payer, "a", "tokens", 1_000)
    quote = wallets.prices.quote("tokens", "10.5", wallet_id=payer)
    assert (quote.amount, quote.price_version) == (Decimal("2.1"), 1)
    assert cost(wallets, payer, "b", "tokens", "10.5") == Decimal("2.1")
    assert wallets.prices.quote("tokens").amount == 0
    with pytest.raises(ItemNotPriced):
        wallets.prices.quote("search")
    with pytest.raises(ItemNotPriced):
        wallets.prices.get("search")
    with pytest.raises(InvalidRequest, match="item must be"):
        wallets.prices.get("No Such")


def test_prices_that_another_process_applies_count_from_the_next_batch_on(
    db_url: str, wallets: CreditWallet, payer: int, clock: Clock
) -> None:
    wallets.prices.apply(SEARCH.format(3))
    assert cost(wallets, payer, "a") == 3
    with CreditWallet.open(db_url, clock=clock) as elsewhere:
        elsewhere.prices.apply(SEARCH.format(4))
        assert cost(wallets, payer, "b") == 4
        assert wallets.prices.get("search").unit_price == 4
        wallets.prices.apply(SEARCH.format(5))
        assert cost(elsewhere, payer, "c") == 5


@on_both_databases
def test_those_who_apply_at_once_make_one_version_each(db_url: str, clock: Clock) -> None:
    with CreditWallet.open(db_url, clock=clock) as one, CreditWallet.open(db_url, clock=clock) as two:
        with ThreadPoolExecutor(8) as threads:
            jobs = [threads.submit((one, two)[yen % 2].prices.apply, SEARCH.format(yen)) for yen in range(1, 17)]
            versions = sorted(job.result().version for job in jobs)
        assert versions == [*range(1, 17)]
        assert [len(one.prices.list(at=NOON)), len(two.prices.list())] == [1, 1]
        assert one.prices.list() == two.prices.list()


@on_both_databases
def test_every_charge_is_priced_by_one_whole_version_while_prices_change(
    db_url: str, wallets: CreditWallet, payer: int
) -> None:
    """Each version has one price for both items: whatever is charged in between, the two are never mixed."""
    pair = SEARCH + '[[price]]\nitem = "fetch"\nunit_price_yen = "{}"\n'
    wallets.prices.apply(pair.format("0.01", "0.01"))
    with CreditWallet.open(db_url) as elsewhere, ThreadPoolExecutor(2) as threads:

        def change() -> None:
            for micros in range(2, 40):
                elsewhere.prices.apply(pair.format(f"0.{micros:02}", f"0.{micros:02}"))

        changing = threads.submit(change)
        number = 0
        while not changing.done() or number < 50:
            number += 1
            wallets.charge_many(
                [
                    Charge(payer, f"{item} {number}", 0, None, None, Usage(item, 1_000_000))
                    for item in ("search", "fetch")
                ]
            )
        changing.result()
    entries = wallets.history(payer, limit=1_000)[:-1]
    by_version: dict[int | None, set[Decimal]] = {}
    for entry in entries:
        by_version.setdefault(entry.price_version, set()).add(-entry.amount)
    assert all(amounts == {Decimal(version or 0) / 100} for version, amounts in by_version.items())
    assert wallets.verify() == []


def test_a_batch_without_items_asks_nothing_of_the_book(db_url: str, wallets: CreditWallet, payer: int) -> None:
    with PlainSql(db_url) as plain:
        plain.run("DROP TABLE am_credit_price_version")
        plain.run("DROP TABLE am_credit_price")
        plain.run("DROP TABLE am_credit_tier_usage")
    held = wallets.hold(payer, 10, idempotency_key="a")
    wallets.capture(held.hold_id, 5)
    charged = wallets.charge(payer, 5, facts={"tool": "search"}, idempotency_key="b")
    wallets.refund(charged.txn_id, idempotency_key="c")
    wallets.purchases.buy(payer, 5, purchase_key="p", attempt="a")
    assert wallets.purchases.undo(payer, "p", attempt="a").balance == 995


def test_a_large_book_is_applied_and_read(wallets: CreditWallet, payer: int) -> None:
    text = "".join(
        f'[[price]]\nitem = "item{number}"\nunit_price_yen = "0.{number % 9 + 1}"\n' for number in range(10_000)
    )
    assert len(wallets.prices.apply(text).changes) == 10_000
    assert cost(wallets, payer, "a", "item9999") == Decimal("0.1")
    with pytest.raises(ItemNotPriced, match="and others") as refusal:
        cost(wallets, payer, "b", "other")
    assert len(refusal.value.details["items"]) == 20  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["am_credit_price", "am_credit_price_version"])
@pytest.mark.parametrize("change", ["UPDATE {} SET version = 2", "DELETE FROM {}"])
def test_what_was_applied_cannot_be_changed(db_url: str, wallets: CreditWallet, table: str, change: str) -> None:
    wallets.prices.apply(SEARCH.format(3))
    with PlainSql(db_url) as plain, pytest.raises(Exception, match="kept as they are: apply another one"):
        plain.run(change.format(table))
    assert wallets.prices.get("search").unit_price == 3
    assert wallets.verify() == []


def test_a_file_without_prices_takes_none_away_by_accident(wallets: CreditWallet) -> None:
    wallets.prices.apply(SEARCH.format("3.3"))
    for text in ("# truncated\n", "price = []"):
        with pytest.raises(InvalidRequest, match="no price"):
            wallets.prices.apply(text)
    assert [price.item for price in wallets.prices.book()] == ["search"]
    assert wallets.prices.apply("price = []", allow_empty=True).version == 2
    assert wallets.prices.book() == []


def test_a_price_names_a_wallet_by_its_reference(wallets: CreditWallet) -> None:
    wallet = wallets.create(reference="cust_1")
    text = '[[price]]\nitem = "search"\nunit_price_yen = "2.5"\nwallet_reference = "cust_1"\n'
    assert [change.after for change in wallets.prices.diff(text)]
    wallets.prices.apply(text)
    assert wallets.prices.get("search", wallet.wallet_id).unit_price == Decimal("2.5")
    with pytest.raises(InvalidRequest, match="wallet_reference must be the reference of a wallet"):
        wallets.prices.apply(text.replace("cust_1", "cust_2"))
