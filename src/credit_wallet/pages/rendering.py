"""Templates: escaped, strict about names, and compiled once in a process."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from credit_wallet.pages.acts import ACTS
from credit_wallet.pages.assets import asset_address
from credit_wallet.pages.charts import CHARTS
from credit_wallet.pages.icons import icon
from credit_wallet.pages.words import text

SCOPES = {"spend": text("pay"), "read": text("see its spending"), "manage": text("manage the wallet")}
"""What an agent key may do, in words."""


@cache
def templates() -> Environment:
    """The templates of all pages."""
    environment = Environment(
        loader=PackageLoader("credit_wallet.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters["decimal"] = Decimal
    environment.globals.update(
        asset=asset_address, icon=icon, text=text, _=_say, n_=_count, SCOPES=SCOPES, **ACTS, **CHARTS
    )
    return environment


def compile_templates() -> None:
    """Compile every template, which takes a first visitor a tenth of a second otherwise."""
    environment = templates()
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)


def render(template: str, values: dict[str, Any]) -> bytes:
    """The page ``template`` with ``values``; ``words`` among them say its texts."""
    return templates().get_template(template).render(values).encode()


@pass_context
def _say(context: Context, english: str, /, **values: Any) -> Markup:
    said: Markup = context["words"].say(english, **values)
    return said


@pass_context
def _count(context: Context, one: str, many: str, n: int, /, **values: Any) -> Markup:
    said: Markup = context["words"].count(one, many, n, **values)
    return said
