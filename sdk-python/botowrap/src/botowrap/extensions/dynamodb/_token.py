"""Resume tokens: where an iteration stands, as text that survives a process."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from botowrap.errors import ResumeTokenError
from botowrap.extensions.dynamodb._deserializer import Deserializer
from botowrap.extensions.dynamodb._serializer import Serializer

_serializer = Serializer(refuse_wire_form=False)
# Always decimals: a key must come back exactly.
_deserializer = Deserializer()


@dataclass(frozen=True, slots=True)
class Position:
    """A page, by the key that it starts after, and how many of its items are done."""

    start: dict[str, Any] | None
    skip: int = 0


def encode_token(position: Position) -> str:
    """The text that `decode_token` makes the same position of."""
    start = None
    if position.start is not None:
        start = {name: _to_json(value) for name, value in position.start.items()}
    text = json.dumps({"start": start, "skip": position.skip}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode_token(token: str) -> Position:
    """The position that a token stands for."""
    try:
        found = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        start, skip = found["start"], found["skip"]
        if start is not None:
            start = {name: _from_json(value) for name, value in start.items()}
        if not isinstance(skip, int) or isinstance(skip, bool) or skip < 0:
            raise ResumeTokenError(f"the resume token skips {skip!r} items")
    except ResumeTokenError:
        raise
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ResumeTokenError(f"this is no resume token: {token[:40]!r}") from error
    return Position(start, skip)


def _to_json(value: Any) -> dict[str, str]:
    ((code, held),) = _serializer.serialize(value).items()
    return {code: base64.b64encode(held).decode() if code == "B" else held}


def _from_json(value: dict[str, str]) -> Any:
    ((code, held),) = value.items()
    if code not in {"S", "N", "B"} or not isinstance(held, str):
        raise ValueError(f"no key is of type {code}")
    try:
        return _deserializer.deserialize({code: base64.b64decode(held) if code == "B" else held})
    except binascii.Error as error:
        raise ValueError("broken binary key") from error
