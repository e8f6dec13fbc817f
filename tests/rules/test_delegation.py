"""What an agent key that manages may not touch: budgets that limit itself."""

from __future__ import annotations

import pytest

from credit_wallet.domain.views import KeyView
from credit_wallet.errors import Forbidden
from credit_wallet.rules.delegation import require_not_binding


def a_key(group: str | None) -> KeyView:
    return KeyView(7, 1, None, 0, 0, 0, "2026-11-01T00:00:00.000Z", None, None, group)


@pytest.mark.parametrize(
    "scope",
    [
        {"key_id": "7"},
        {"key_id": "*"},
        {"group": "acme"},
        {"group": "acme/team"},
        {"group": "*"},
        {"key_id": "*", "tool": "a"},
    ],
)
def test_a_budget_that_binds_the_key_is_out_of_its_reach(scope: dict[str, str]) -> None:
    with pytest.raises(Forbidden):
        require_not_binding(a_key("acme/team"), scope)


@pytest.mark.parametrize(
    ("group", "scope"),
    [("acme/team", {"key_id": "8"}), ("acme", {"group": "acme/team"}), (None, {"group": "*"}), (None, {})],
)
def test_other_budgets_are_within_it(group: str | None, scope: dict[str, str]) -> None:
    require_not_binding(a_key(group), scope)
