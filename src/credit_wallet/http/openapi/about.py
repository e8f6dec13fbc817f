"""What is said of a property: a description for people and examples."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

SHA256_EXAMPLE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class About(Struct, frozen=True):
    """A description for people, examples, and whether a text is an instant."""

    description: str
    examples: tuple[Any, ...] = ()
    is_instant: bool = False

    def describe(self, given: dict[str, Any]) -> dict[str, Any]:
        """The schema ``given`` with all of it."""
        described = {**_formatted(given, self.is_instant), "description": self.description}
        return {**described, "examples": [*self.examples]} if self.examples else described


def _formatted(given: dict[str, Any], is_instant: bool) -> dict[str, Any]:
    if not is_instant:
        return given
    if "anyOf" in given:
        return {**given, "anyOf": [_formatted(each, is_instant) for each in given["anyOf"]]}
    return {**given, "format": "date-time"} if given.get("type") == "string" else given


def instant(description: str) -> About:
    """Of a time."""
    return About(description, ("2026-11-23T08:26:55.373Z",), is_instant=True)


def exactly(name: str, whole: About) -> About:
    """Of the exact amount ``name``, beside ``whole`` yen."""
    examples = tuple(str(example) for example in whole.examples)
    return About(f"`{name}_yen` exactly: a decimal without trailing zeros.", examples)
