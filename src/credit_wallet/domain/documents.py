"""Structs as JSON documents: every exact amount is there twice, as whole yen and as a decimal string.

Inside, an amount is a field ``NAME_micros``, and its struct names the two readings of it: ``NAME_yen = WholeYen()``
and ``NAME = Exact()``. Outside there are only these two. Whatever leaves the process as JSON goes through here, so that
nothing forgets one or shows micros.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints, overload

from msgspec import NODEFAULT, Struct, convert, defstruct, json, structs

from credit_wallet.domain.money import ExactOfUnit, decimal_of, micros_of, whole_yen

T = TypeVar("T")

_MICROS, _YEN = "_micros", "_yen"
_NO_MONEY = ("quantity",)
"""Exact to the millionth as amounts are, but not of yen."""


class ExactOfYen:
    """Reads ``NAME_yen``, which is always whole, as the decimal ``NAME``, as other amounts can be read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = name + _YEN

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Decimal: ...

    def __get__(self, instance: object | None, owner: type) -> Self | Decimal:
        return self if instance is None else Decimal(getattr(instance, self._field))


def document(value: Any) -> Any:
    """A struct, or a list or tuple of structs, as what is sent for it. Anything else is its own document."""
    if isinstance(value, Struct):
        return document_as(value, type(value))
    if isinstance(value, list | tuple):
        return [document(each) for each in value]
    return value


def document_as(value: Any, kind: type[Struct]) -> Any:
    """The document of ``kind`` for a value that has its attributes, and possibly more."""
    sent = document_type(kind)
    return value if isinstance(value, sent) else convert(value, sent, from_attributes=True)


def to_json(value: Any) -> bytes:
    """The document of ``value`` as JSON."""
    return json.encode(document(value))


def from_json(content: bytes | str, kind: type[T]) -> T:
    """What ``content``, a document of ``kind`` as JSON, stands for. Raises msgspec's ``DecodeError``."""
    return _read(_decoder(cast(Hashable, kind)).decode(content), kind)


def from_builtins(value: Any, kind: type[T]) -> T:
    """The same of a document that was decoded to a dictionary already."""
    return _read(convert(value, document_type(cast(Hashable, kind))), kind)


@cache
def document_type(kind: Any) -> Any:
    """The type of the documents of ``kind``: a struct of the same name, or ``kind`` itself when they do not differ.

    Raises ``TypeError`` for a struct with micros that lacks a reading of them.
    """
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _document_struct(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    mapped = tuple(document_type(each) if isinstance(each, type) or get_origin(each) else each for each in arguments)
    if origin is None or mapped == arguments:
        return kind
    if origin in (Union, UnionType):
        return Union[mapped]  # noqa: UP007 - made at run time
    return (Annotated if origin is Annotated else origin)[mapped]


def _read(sent: Any, kind: type[T]) -> T:
    is_its_own = document_type(cast(Hashable, kind)) is kind
    return cast(T, sent) if is_its_own else convert(sent, kind, from_attributes=True)


@cache
def _decoder(kind: Any) -> json.Decoder[Any]:
    return json.Decoder(document_type(kind))


def _document_struct(kind: type[Struct]) -> type[Struct]:
    hints = get_type_hints(kind, include_extras=True)
    given = structs.fields(kind)
    fields = [each for field in given for each in _sent_for(kind, field, document_type(hints[field.name]))]
    if [each[:2] for each in fields] == [(field.name, hints[field.name]) for field in given]:
        return kind
    micros = {field.name: _in_micros(field.name) for field in given if field.name.endswith(_MICROS)}
    namespace: dict[str, Any] = {"__doc__": kind.__doc__, **micros}
    return defstruct(
        kind.__name__,
        [each[:2] if each[2] is NODEFAULT else each for each in fields],
        module=kind.__module__,
        namespace=namespace,
        frozen=True,
        kw_only=True,
    )


def _sent_for(kind: type[Struct], field: structs.FieldInfo, annotation: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of what is sent for a field of ``kind``."""
    names = kind.__struct_fields__
    amount = field.name.removesuffix(_MICROS)
    if amount != field.name:
        is_yen = amount not in _NO_MONEY and not isinstance(getattr(kind, amount, None), ExactOfUnit)
        for reading in (amount, amount + _YEN) if is_yen else (amount,):
            if not hasattr(kind, reading):
                raise TypeError(f"{kind.__name__} has {field.name}, but not {reading} to read it by")
        if amount + _YEN not in names and is_yen:
            yield amount + _YEN, annotation, _of_default(field, whole_yen)
        yield amount, _exactly(annotation), _of_default(field, decimal_of)
        return
    yield field.name, annotation, _of_default(field, lambda value: value)
    amount = field.name.removesuffix(_YEN)
    if amount != field.name and hasattr(kind, amount) and not {amount, amount + _MICROS} & {*names}:
        yield amount, _exactly(annotation), _of_default(field, Decimal)


def _exactly(annotation: Any) -> Any:
    """``annotation``, of an integer, as one of a decimal."""
    if get_origin(annotation) is Annotated:
        kind, *about = get_args(annotation)
        return Annotated[(_exactly(kind), *about)]
    return Decimal | None if type(None) in get_args(annotation) else Decimal


def _of_default(field: structs.FieldInfo, read: Callable[[Any], Any]) -> Any:
    if field.default is not NODEFAULT:
        return None if field.default is None else read(field.default)
    return NODEFAULT if field.default_factory is NODEFAULT else field.default_factory()


def _in_micros(name: str) -> property:
    """What reads an amount of a document as the micros that it stands for."""

    def read(sent: Any) -> int | None:
        exact = getattr(sent, name.removesuffix(_MICROS))
        return None if exact is None else micros_of(exact)

    return property(read)
