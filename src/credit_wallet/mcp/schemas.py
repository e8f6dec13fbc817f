"""JSON Schemas of tools, in the part of the language that hosts and model providers agree on.

Some refuse a whole list of tools for one ``anyOf``, or cannot follow ``$ref``: references are written out, a value that
may be null says so in its ``type``, and a parameter that may be left out is simply not required.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, json

from credit_wallet.domain.documents import document_type

Schema = dict[str, Any]


def input_schema(kind: type[Struct]) -> Schema:
    """The schema of a tool's arguments. What is null by default is described as what else it can be."""
    schema = _of(kind)
    for name, member in schema["properties"].items():
        kinds = member.get("type")
        if isinstance(kinds, list):
            schema["properties"][name] = {**member, "type": next(each for each in kinds if each != "null")}
            del schema["properties"][name]["default"]
    return schema


def output_schema(kind: type[Struct]) -> Schema:
    """The schema of a tool's structured result, in which every member is present."""
    return _required_throughout(_of(document_type(kind)))


def _of(kind: type[Struct]) -> Schema:
    schema = json.schema(kind)
    definitions = schema["$defs"]
    return _plain(definitions[kind.__name__], definitions)


def _plain(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """``schema`` without references and unions. No type of a tool refers to itself."""
    reference = schema.get("$ref")
    if reference is not None:
        target = definitions[reference.rpartition("/")[2]]
        return _plain({**target, **{name: value for name, value in schema.items() if name != "$ref"}}, definitions)
    alternatives = schema.get("anyOf")
    if alternatives is not None:
        return _nullable({name: value for name, value in schema.items() if name != "anyOf"}, alternatives, definitions)
    plain = dict(schema)
    if "enum" in plain:
        plain.setdefault("type", "string")
    if "description" in plain:
        plain["description"] = " ".join(plain["description"].replace("``", "`").replace("None", "null").split())
    if "items" in plain:
        plain["items"] = _plain(plain["items"], definitions)
    if "properties" in plain:
        plain["properties"] = {name: _plain(member, definitions) for name, member in plain["properties"].items()}
    return plain


def _nullable(said: Schema, alternatives: list[Schema], definitions: dict[str, Schema]) -> Schema:
    """A value that is of one type or null, with what is ``said`` of both."""
    [only] = [each for each in alternatives if each != {"type": "null"}]
    plain = _plain({**only, **said}, definitions)
    return {**plain, "type": [plain["type"], "null"]}


def _required_throughout(schema: Schema) -> Schema:
    """Every member of every object is in a result, null or not."""
    if "items" in schema:
        schema["items"] = _required_throughout(schema["items"])
    if "properties" in schema:
        for member in schema["properties"].values():
            member.pop("default", None)
            _required_throughout(member)
        schema["required"] = list(schema["properties"])
    return schema
