"""Whether a Python value is what somebody serialised already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def looks_serialized(value: dict[Any, Any]) -> bool:
    """Whether `value` is a well-formed attribute value such as `{"S": "a"}`."""
    if len(value) != 1:
        return False
    ((code, held),) = value.items()
    # `get` with a key that can't be hashed never happens: it is a key already.
    fits = _FITS.get(code)
    return fits is not None and fits(held)


def _is_number(held: Any) -> bool:
    try:
        float(held)
    except (TypeError, ValueError):
        return False
    return isinstance(held, str)


def _all(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    return lambda held: (
        isinstance(held, list) and bool(held) and all(isinstance(one, kind) for one in held)
    )


def _is_list(held: Any) -> bool:
    return isinstance(held, list) and all(isinstance(v, dict) and looks_serialized(v) for v in held)


def _is_map(held: Any) -> bool:
    return isinstance(held, dict) and _is_list(list(held.values()))


_FITS: dict[str, Callable[[Any], bool]] = {
    "S": lambda held: isinstance(held, str),
    "N": _is_number,
    "B": lambda held: isinstance(held, bytes | bytearray),
    "BOOL": lambda held: isinstance(held, bool),
    "NULL": lambda held: held is True,
    "SS": _all(str),
    "NS": _all(str),
    "BS": _all((bytes, bytearray)),
    "L": _is_list,
    "M": _is_map,
}
