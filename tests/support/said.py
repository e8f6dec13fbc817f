"""What the pages say: every text in templates and modules, with the placeholders that it is given."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import nodes

from credit_wallet.pages.rendering import templates

PAGES = Path(str(files("credit_wallet.pages")))

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Said(NamedTuple):
    """A text, where it is said, and the names of the values that it is said with (None: not known there)."""

    english: str
    where: str
    values: frozenset[str] | None = None
    needs_japanese: bool = True


def placeholders(text: str) -> frozenset[str]:
    """The names in braces of a text."""
    return frozenset(_PLACEHOLDER.findall(text))


def said_by_pages() -> list[Said]:
    """Every text of the pages."""
    return [*_in_templates(), *_in_modules()]


def codes_of_pages() -> set[str]:
    """Codes of refusals that pages make themselves."""
    return {
        str(value.value)
        for _, tree in _modules()
        for found in ast.walk(tree)
        if isinstance(found, ast.Dict)
        for key, value in zip(found.keys, found.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant)
    }


def _in_templates() -> Iterator[Said]:
    environment = templates()
    for name in environment.list_templates(extensions=["html"]):
        source = (PAGES / "templates" / name).read_text(encoding="utf-8")
        for call in environment.parse(source).find_all(nodes.Call):
            if not isinstance(call.node, nodes.Name) or call.node.name not in ("_", "n_"):
                continue
            values = frozenset(each.key for each in call.kwargs)
            where = f"{name}:{call.lineno}"
            if call.node.name == "n_":
                one, many = (_constants(argument) for argument in call.args[:2])
                yield from (Said(text, where, values | {"n"}, needs_japanese=False) for text in one)
                yield from (Said(text, where, values | {"n"}) for text in many)
            else:
                yield from (Said(text, where, values) for text in _constants(call.args[0]))


def _constants(node: nodes.Node) -> list[str]:
    """The texts that an expression may be."""
    if isinstance(node, nodes.Const):
        return [node.value]
    if isinstance(node, nodes.CondExpr):
        return [*_constants(node.expr1), *([] if node.expr2 is None else _constants(node.expr2))]
    return []


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PAGES.rglob("*.py")):
        yield str(path.relative_to(PAGES)), ast.parse(path.read_text(encoding="utf-8"))


def _in_modules() -> Iterator[Said]:
    for name, tree in _modules():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                yield from _by(call, f"{name}:{call.lineno}")


def _by(call: ast.Call, where: str) -> Iterator[Said]:
    function = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    texts = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    values = frozenset(each.arg for each in call.keywords if each.arg is not None)
    if function == "text" and isinstance(call.func, ast.Name) and texts:
        yield Said(texts[0], where)
    elif function == "say" and texts:
        yield Said(texts[0], where, values)
    elif function == "count" and len(texts) == 2:
        yield Said(texts[0], where, values | {"n"}, needs_japanese=False)
        yield Said(texts[1], where, values | {"n"})
