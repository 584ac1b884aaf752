"""JSON in and out. Numbers keep whether they are whole; ids and times become text.

Imported with the first invocation and not at start: `json` brings `re` along.
"""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, time
from json.decoder import JSONDecoder
from uuid import UUID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_scan: Callable[[str, int], tuple[Any, int]] = JSONDecoder().scan_once  # type: ignore[attr-defined]


def loads(text: str) -> Any:  # noqa: ANN401 - JSON
    """Reads JSON text."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def dumps(value: object) -> str:
    """Writes JSON text.

    Raises:
        TypeError: For a value that has no JSON form.
        ValueError: For NaN and infinities, which JSON doesn't have.
    """
    return json.dumps(
        value, default=_plain, allow_nan=False, separators=(",", ":"), ensure_ascii=False
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever the author has
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return _rarely_plain(value)


def _rarely_plain(value: Any) -> Any:  # noqa: ANN401 - whatever the author has
    from datetime import timedelta
    from decimal import Decimal
    from enum import Enum

    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"a {type(value).__name__} has no JSON form: {value!r}")


def _parse_uuid_slowly(text: str) -> UUID:
    return UUID(text)


_new_uuid = UUID.__new__
_unknown = uuid.SafeUUID.unknown


def _parse_uuid_fast(text: str) -> UUID:
    value = _new_uuid(UUID)
    _set_int(value, int(text.replace("-", ""), 16))
    _set_safe(value, _unknown)
    return value


def _choose_parser() -> Callable[[str], UUID]:
    """The parser without checks, wherever a UUID is still made of two slots.

    `UUID(text)` takes a third of a hook's time, and the server's ids are in order.
    """
    global _set_int, _set_safe
    sample = "0193d2a4-7c1e-7f3a-9b1c-2f6a5e4d3c2b"
    try:
        _set_int = UUID.__dict__["int"].__set__
        _set_safe = UUID.__dict__["is_safe"].__set__
        if _parse_uuid_fast(sample) == UUID(sample) and UUID.__slots__[:2] == ("int", "is_safe"):
            return _parse_uuid_fast
    except (AttributeError, KeyError, TypeError):
        pass
    return _parse_uuid_slowly


_set_int: Callable[[UUID, int], None]
_set_safe: Callable[[UUID, uuid.SafeUUID], None]
parse_uuid = _choose_parser()


def parse_optional_uuid(text: str) -> UUID | None:
    """A UUID, or none for the empty text."""
    return parse_uuid(text) if text else None


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, in UTC and aware of it."""
    return datetime.fromisoformat(text)
