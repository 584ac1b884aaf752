"""From Python values to attribute values, with the path of what can't be converted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from boto3.dynamodb.types import Binary

from botowrap.errors import SerializationError
from botowrap.extensions.dynamodb._wire_form import looks_serialized

Wire = dict[str, Any]

# The bounds that DynamoDB sets to numbers.
_DIGITS_MAX = 38
_EXPONENT_MAX = 125
_EXPONENT_MIN = -130
_INT_MAX = 10**_DIGITS_MAX
# DynamoDB allows 32 levels; this only has to stop a value that contains itself.
_LEVELS_MAX = 64


class Serializer:
    """Makes attribute values of Python values.

    Args:
        default: asked for a replacement of a value of an unknown type.
        refuse_wire_form: whether an attribute that looks already serialised is an error.
    """

    def __init__(
        self, default: Callable[[Any], Any] | None = None, *, refuse_wire_form: bool = True
    ) -> None:
        self._default = default
        self._refuse_wire_form = refuse_wire_form
        self._by_type: dict[type, Callable[[Any, int], Wire]] = {
            str: _string,
            bool: _boolean,
            int: _integer,
            float: _float,
            Decimal: _decimal,
            type(None): _null,
            bytes: _bytes,
            bytearray: _binary,
            memoryview: _binary,
            Binary: _boto3_binary,
            dict: self._map,
            list: self._list,
            tuple: self._list,
            set: self._set,
            frozenset: self._set,
        }

    def serialize(self, value: Any) -> Wire:
        """The attribute value that holds `value`."""
        if self._refuse_wire_form and type(value) is dict and looks_serialized(value):
            raise SerializationError(
                f"the value looks already serialised, as {next(iter(value))}; give the plain "
                "Python value, or set DynamoDBConfig(refuse_wire_form=False) if a map is meant"
            )
        return self._value(value, 0)

    def _value(self, value: Any, level: int) -> Wire:
        convert = self._by_type.get(type(value))
        if convert is not None:
            return convert(value, level)
        return self._other(value, level)

    def _map(self, value: Mapping[Any, Any], level: int) -> Wire:
        _check_level(level)
        level += 1
        by_type = self._by_type
        wire: dict[str, Wire] = {}
        for key, item in value.items():
            if type(key) is not str and not isinstance(key, str):
                raise SerializationError(f"the key {key!r} of a map is not a string")
            try:
                convert = by_type.get(type(item))
                wire[key] = convert(item, level) if convert else self._other(item, level)
            except SerializationError as error:
                error.inside(key)
                raise
        return {"M": wire}

    def _list(self, value: list[Any] | tuple[Any, ...], level: int) -> Wire:
        _check_level(level)
        level += 1
        wire: list[Wire] = []
        for index, item in enumerate(value):
            try:
                wire.append(self._value(item, level))
            except SerializationError as error:
                error.inside(index)
                raise
        return {"L": wire}

    def _set(self, value: AbstractSet[Any], level: int) -> Wire:
        if not value:
            raise SerializationError("the set is empty, and DynamoDB has no empty sets")
        # Two numbers may differ for Python and be one for DynamoDB: 0.1 and Decimal("0.1").
        found: dict[str, dict[Any, None]] = {}
        for item in value:
            ((code, wire),) = self._value(item, level + 1).items()
            found.setdefault(code, {})[_same(wire) if code == "N" else wire] = None
        if len(found) > 1 or not found.keys() <= {"S", "N", "B"}:
            types = ", ".join(sorted({type(item).__name__ for item in value}))
            raise SerializationError(
                f"a set of {types}: all members must be strings, all numbers or all binary"
            )
        ((code, members),) = found.items()
        return {code + "S": [str(m) for m in members] if code == "N" else list(members)}

    def _other(self, value: Any, level: int) -> Wire:
        _check_level(level)
        if isinstance(value, Enum):
            return self._value(value.value, level + 1)
        for known, convert in self._by_type.items():
            if isinstance(value, known):
                return convert(value, level)
        if isinstance(value, UUID):
            return {"S": str(value)}
        if isinstance(value, datetime | date | time):
            return {"S": value.isoformat()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return self._map({field.name: getattr(value, field.name) for field in fields}, level)
        if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
            return self._map(dump(), level)
        if isinstance(value, Mapping):
            return self._map(value, level)
        if isinstance(value, AbstractSet):
            return self._set(value, level)
        if self._default is not None:
            return self._value(self._default(value), level + 1)
        raise SerializationError(
            f"a {type(value).__module__}.{type(value).__qualname__} can't be an attribute; "
            "convert it, or set DynamoDBConfig(default=…)"
        )


def _check_level(level: int) -> None:
    if level > _LEVELS_MAX:
        raise SerializationError("nested deeper than DynamoDB's 32 levels")


def _string(value: str, level: int) -> Wire:
    return {"S": value}


def _boolean(value: bool, level: int) -> Wire:
    return {"BOOL": value}


def _null(value: None, level: int) -> Wire:
    return {"NULL": True}


def _bytes(value: bytes, level: int) -> Wire:
    return {"B": value}


def _binary(value: bytearray | memoryview, level: int) -> Wire:
    return {"B": bytes(value)}


def _boto3_binary(value: Any, level: int) -> Wire:
    return {"B": bytes(value.value)}


def _integer(value: int, level: int) -> Wire:
    if -_INT_MAX < value < _INT_MAX:
        return {"N": int.__repr__(value)}
    return _decimal(Decimal(value), level)


def _float(value: float, level: int) -> Wire:
    # The shortest decimal that reads back as the same float.
    return _decimal(Decimal(float.__repr__(value)), level)


def _decimal(value: Decimal, level: int) -> Wire:
    if not value.is_finite():
        raise SerializationError(f"{value} is not a number that DynamoDB can hold")
    if not value:
        return {"N": "0"}
    digits = value.as_tuple().digits
    if len(digits) > _DIGITS_MAX and len("".join(map(str, digits)).strip("0")) > _DIGITS_MAX:
        raise SerializationError(f"{_shown(value)} has more than {_DIGITS_MAX} significant digits")
    if not _EXPONENT_MIN <= value.adjusted() <= _EXPONENT_MAX:
        raise SerializationError(
            f"{_shown(value)} is outside of DynamoDB's range 1E-130 to 9.9…E+125"
        )
    return {"N": str(value)}


def _same(number: str) -> Decimal:
    return Decimal(number)


def _shown(value: Decimal) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
