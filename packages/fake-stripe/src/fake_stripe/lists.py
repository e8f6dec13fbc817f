"""Lists in pages, newest first (https://docs.stripe.com/api/pagination)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fake_stripe.failures import invalid
from fake_stripe.parameters import ListParameters

Json = dict[str, Any]


class Listed(Protocol):
    """Something that can be in a list."""

    @property
    def id(self) -> str: ...

    @property
    def created(self) -> int: ...


T = TypeVar("T", bound=Listed)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list."""

    url: str
    items: Sequence[T]
    has_more: bool

    def of(self, view: Callable[[T], Json]) -> Json:
        """The page as the API answers it."""
        return self._answer([view(item) for item in self.items])

    async def of_each(self, view: Callable[[T], Awaitable[Json]]) -> Json:
        """The page as the API answers it, when an item's view must be waited for."""
        return self._answer([await view(item) for item in self.items])

    def _answer(self, data: list[Json]) -> Json:
        return {"object": "list", "url": self.url, "has_more": self.has_more, "data": data}


def page(url: str, newest_first: Sequence[T], wanted: ListParameters) -> Page[T]:
    """The page that is asked for."""
    items = [item for item in newest_first if wanted.created is None or wanted.created_in(item.created)]
    if wanted.ending_before is not None:
        before = items[: _place(items, wanted.ending_before, "ending_before")]
        return Page(url, before[-wanted.limit :], len(before) > wanted.limit)
    if wanted.starting_after is not None:
        items = items[_place(items, wanted.starting_after, "starting_after") + 1 :]
    return Page(url, items[: wanted.limit], len(items) > wanted.limit)


def _place(items: Sequence[Listed], item_id: str, param: str) -> int:
    for place, item in enumerate(items):
        if item.id == item_id:
            return place
    raise invalid(f"No such object: '{item_id}'", param, "resource_missing")
