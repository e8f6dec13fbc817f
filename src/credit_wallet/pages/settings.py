"""Settings of the pages."""

from __future__ import annotations

from msgspec import Struct


class PageSettings(Struct, frozen=True):
    """``public_url`` is where people reach the service; pages of ``frame_origins`` may show the framed ones."""

    public_url: str
    frame_origins: tuple[str, ...] = ()
    takes_test_money: bool = False

    @property
    def https(self) -> bool:
        """Whether people reach the service over TLS, in front of it or in it."""
        return self.public_url.startswith("https://")
