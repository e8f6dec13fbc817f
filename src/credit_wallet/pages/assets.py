"""Styles and scripts: named by what is in them, so that browsers may keep them."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from credit_wallet.wire.packing import Packed, packed

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "png": "image/png"}


class Asset(NamedTuple):
    """A file that pages load."""

    content: Packed
    media_type: str


@cache
def _files() -> dict[str, tuple[str, Asset]]:
    """Each file's name in an address and what it is, by its name in the folder."""
    found = {}
    for file in files("credit_wallet.pages").joinpath("assets").iterdir():
        stem, _, kind = file.name.rpartition(".")
        if kind in _TYPES:
            content = file.read_bytes()
            found[file.name] = f"{stem}-{sha256(content).hexdigest()[:16]}.{kind}", Asset(packed(content), _TYPES[kind])
    return found


def asset_address(name: str) -> str:
    """The address of the file ``name``."""
    return f"/assets/{_files()[name][0]}"


@cache
def assets() -> dict[str, Asset]:
    """Every file by its name in an address."""
    return dict(_files().values())
