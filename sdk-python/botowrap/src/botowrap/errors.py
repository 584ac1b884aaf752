"""What can go wrong here; botocore's own exceptions pass through unchanged.

BotowrapError
├── RegistrationError (ValueError)      an extension that can't be registered
├── AlreadyAttachedError (ValueError)   another configuration rules the session
├── AttachError (ExceptionGroup)        which extensions did not attach, and why
├── DetachError (ExceptionGroup)        which extensions did not detach, and why
├── SerializationError (TypeError, ValueError)   a value that DynamoDB can't hold, and where
├── ResumeTokenError (ValueError)       a token that is not ours
├── NotEnhancedError (TypeError)        a client without the methods asked for
└── IncompleteBatchError                what DynamoDB left out until the retries were used up
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AlreadyAttachedError",
    "AttachError",
    "BotowrapError",
    "DetachError",
    "IncompleteBatchError",
    "NotEnhancedError",
    "RegistrationError",
    "ResumeTokenError",
    "SerializationError",
]


class BotowrapError(Exception):
    """The root of this library's own errors."""


class RegistrationError(BotowrapError, ValueError):
    """An extension that names a service which botocore doesn't know."""


class AlreadyAttachedError(BotowrapError, ValueError):
    """A second extension of the same kind, with another configuration, on one session."""


class AttachError(BotowrapError, ExceptionGroup[Exception]):
    """Some extensions did not attach; the others did. `exceptions` has the causes."""


class DetachError(BotowrapError, ExceptionGroup[Exception]):
    """Some extensions did not detach; the others did. `exceptions` has the causes."""


class SerializationError(BotowrapError, TypeError, ValueError):
    """A value that no attribute can hold, found before anything was sent.

    Both a `TypeError`, which boto3 raises for unknown types, and a `ValueError`, which fits a
    number out of range.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._parts: list[str | int] = []

    def inside(self, part: str | int) -> SerializationError:
        """Says one step further out where the value stands."""
        self._parts.append(part)
        return self

    @property
    def path(self) -> str:
        """Where the value stands, such as `Item.address.lines[2]`."""
        path = ""
        for part in reversed(self._parts):
            if isinstance(part, int):
                path += f"[{part}]"
            else:
                path += f".{part}" if path else part
        return path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self._parts else self.reason


class ResumeTokenError(BotowrapError, ValueError):
    """A resume token that was cut, changed, or never given out."""


class NotEnhancedError(BotowrapError, TypeError):
    """A client that was made before its session got the extension."""


class IncompleteBatchError(BotowrapError):
    """DynamoDB left some of a batch undone until the retries or the time were used up.

    `unprocessed` holds it in the form of `RequestItems`, with native values, ready to be sent
    again; `done` holds what was answered until then.
    """

    def __init__(self, unprocessed: dict[str, Any], done: dict[str, Any], reason: str) -> None:
        self.unprocessed = unprocessed
        self.done = done
        count = sum(len(r["Keys"]) if isinstance(r, dict) else len(r) for r in unprocessed.values())
        tables = ", ".join(sorted(unprocessed))
        super().__init__(f"{count} requests to {tables} were left undone: {reason}")
