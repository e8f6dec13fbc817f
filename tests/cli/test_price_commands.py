"""``credit-wallet prices``: compare and apply a price file, and list what counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Shell

PRICES = '[[price]]\nitem = "search"\nunit_price_yen = "{}"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(PRICES.format("3.30"))
    return path


def test_a_file_is_compared_applied_and_listed(shell: Shell, file: Path) -> None:
    shell("wallet", "create")
    assert shell("prices", "list") == "none\n"
    [added] = shell.json("prices", "diff", file)
    assert (added["change"], added["item"], added["before"], added["after"]) == ("added", "search", None, "¥3.3")
    assert shell("prices", "list") == "none\n"

    applied = shell("prices", "apply", file).splitlines()
    assert applied[0].split() == ["change", "item", "wallet_id", "group", "valid_from", "before", "after"]
    assert applied[1].split() == ["added", "search", "–", "–", "–", "–", "¥3.3"]
    assert applied[2] == "version 1"
    assert shell("prices", "list").splitlines()[1].split() == ["search", "¥3.3", "–", "–", "–", "1"]
    assert shell("prices", "apply", file).splitlines() == ["none", "version 1, as before"]

    file.write_text(PRICES.format(4) + PRICES.format(2) + "wallet_id = 1\n")
    assert shell.json("prices", "apply", file)["version"] == 2
    assert [price["unit_price"] for price in shell.json("prices", "list")] == ["4"]
    assert [price["unit_price"] for price in shell.json("prices", "list", "--wallet", 1)] == ["2"]
    assert shell.json("prices", "list", "--at", "2000-01-01T00:00:00Z") == []
    versions = shell.json("prices", "versions")
    assert [each["version"] for each in versions] == [2, 1]
    assert {each["applied_by"].partition(":")[0] for each in versions} == {"command line"}


def test_a_wrong_file_is_refused_with_what_to_write(shell: Shell, file: Path) -> None:
    shell("wallet", "create")
    file.write_text("[[price]]\nitem = 'search'\nunit_price_yen = 3.30\n")
    for command in ("diff", "apply"):
        assert shell.refused("prices", command, file) == (
            "invalid_request",
            'price 1: unit_price_yen must be exact: quote it, unit_price_yen = "3.30"',
        )
    assert "cannot be read" in shell.refused("prices", "apply", file.parent / "other.toml")[1]
    assert "at must be an ISO 8601 time" in shell.refused("prices", "list", "--at", "today")[1]


def test_a_price_group_is_set_and_removed(shell: Shell, file: Path) -> None:
    shell("wallet", "create")
    file.write_text(PRICES.format(4) + PRICES.format(2) + 'group = "partners"\n')
    shell("prices", "apply", file)
    assert shell.json("wallet", "configure", 1, "--price-group", "partners")["price_group"] == "partners"
    assert [price["unit_price"] for price in shell.json("prices", "list", "--wallet", 1)] == ["2"]
    assert shell.json("wallet", "configure", 1, "--price-group", "")["price_group"] is None
