"""Links by which an operator lets a customer in to the pages."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

MAX_LINKS: Final = 100
"""Links of a wallet that nobody has taken."""

MIN_LINK_SECONDS: Final = 30
MAX_LINK_SECONDS: Final = 3_600
LINK_SECONDS: Final = 300

LinkScope: TypeAlias = Literal["read", "manage"]
"""What a link lets a customer do: see the wallet, and change it."""

LINK_SCOPES: Final[tuple[LinkScope, ...]] = get_args(LinkScope)

Language: TypeAlias = Literal["en", "ja"]
"""A language that the pages are written in."""

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

HOME: Final = "/wallet"
"""The page to which a link leads by default; all others are below it."""

PATH_PATTERN: Final = r"^/wallet(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_=&%.~-]*)?$"
"""Of a page of the wallet, and of nothing that a browser would take for another site."""

MAX_PATH_LENGTH: Final = 200

ENTER: Final = "/enter/"
"""Before the secret of a link in its address."""

FRAMED: Final = "/framed"
"""Before the addresses of pages that another site may show in a frame."""
