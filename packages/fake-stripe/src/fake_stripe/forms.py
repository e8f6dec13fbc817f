"""Stripe's form encoding: ``metadata[order]=6&expand[0]=latest_charge``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fake_stripe.failures import invalid

Json = dict[str, Any]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_MAX_DEPTH = 8


def nested(pairs: Iterable[tuple[str, str]]) -> Json:
    """The parameters that a form's pairs stand for; keys 0, 1, … make a list, except in metadata."""
    whole: Json = {}
    for name, value in pairs:
        *path, last = _path(name)
        place = whole
        for key in path:
            place = place.setdefault(key or str(len(place)), {})
            if not isinstance(place, dict):
                raise invalid(f"Invalid parameter: {name}", name)
        place[last or str(len(place))] = value
    return {key: _with_lists(value) if key != "metadata" else value for key, value in whole.items()}


def _path(name: str) -> list[str]:
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise invalid(f"Invalid parameter: {name}", name)
    path = [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])]
    if len(path) > _MAX_DEPTH:
        raise invalid(f"Parameter is nested too deeply: {name}", name)
    return path


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    values = {key: _with_lists(each) if key != "metadata" else each for key, each in value.items()}
    if values and list(values) == [str(number) for number in range(len(values))]:
        return list(values.values())
    return values
