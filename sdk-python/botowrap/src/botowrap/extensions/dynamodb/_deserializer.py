"""From attribute values to Python values."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from boto3.dynamodb.types import Binary

Wire = dict[str, Any]


class Deserializer:
    """Makes Python values of attribute values.

    Args:
        numbers: `"decimal"`, or `"native"` for `int` and `float` where they are exact.
        binary: `"bytes"`, or `"binary"` for boto3's `Binary`.
    """

    def __init__(
        self,
        numbers: Literal["decimal", "native"] = "decimal",
        binary: Literal["bytes", "binary"] = "bytes",
    ) -> None:
        number: Callable[[str], Any] = Decimal if numbers == "decimal" else _native_number
        blob: Callable[[bytes], Any] = bytes if binary == "bytes" else Binary
        self._by_code: dict[str, Callable[[Any], Any]] = {
            "S": _same,
            "N": number,
            "BOOL": _same,
            "M": self._map,
            "L": self._list,
            "NULL": _none,
            "B": blob,
            "SS": set,
            "NS": lambda members: set(map(number, members)),
            "BS": lambda members: set(map(blob, members)),
        }

    def deserialize(self, wire: Wire) -> Any:
        """The Python value that `wire` holds."""
        ((code, held),) = wire.items()
        return self._by_code[code](held)

    def _map(self, held: dict[str, Wire]) -> dict[str, Any]:
        by_code = self._by_code
        native = {}
        for name, wire in held.items():
            ((code, value),) = wire.items()
            native[name] = by_code[code](value)
        return native

    def _list(self, held: list[Wire]) -> list[Any]:
        return [self.deserialize(wire) for wire in held]


def _same(held: Any) -> Any:
    return held


def _none(held: bool) -> None:
    return None


def _native_number(text: str) -> int | float | Decimal:
    exact = Decimal(text)
    if exact == exact.to_integral_value():
        return int(exact)
    near = float(text)
    return near if Decimal(repr(near)) == exact else exact
