"""The exceptions of the kit, in one tree.

    TinyBaseError
    ├── Reject                raise it to refuse: the client gets its status and message
    │   ├── ValidationError   422, what came in is wrong, field by field
    │   ├── NotFound          404
    │   └── Forbidden         403
    ├── Retryable             raise it to be tried again later, no sooner than `after`
    ├── HostError             a call-back to the server failed
    │   └── HostNotFound      the same for what isn't there; also a NotFound
    ├── CallFailed            a function that was called failed
    └── RegistrationError     two hooks or functions get in each other's way

Anything else that a handler raises is a fault: its type, message and traceback go to the log, and
a client never sees the traceback.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

__all__ = [
    "CallFailed",
    "Forbidden",
    "HostError",
    "HostNotFound",
    "NotFound",
    "RegistrationError",
    "Reject",
    "Retryable",
    "TinyBaseError",
    "ValidationError",
]


class TinyBaseError(Exception):
    """The root of the tree."""


class Reject(TinyBaseError):  # noqa: N818 - an imperative, as the protocol has it
    """Refuses an operation, with words for the client.

    Args:
        message: A sentence for the client.
        code: A short machine-readable reason, such as "out_of_stock".
        status: The HTTP status, 400 to 499.
        violations: What is wrong with which field; a field is a name or a JSON pointer.
    """

    default_status = 400
    default_code = ""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        violations: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.status = self.default_status if status is None else status
        if not 400 <= self.status <= 499:
            raise ValueError(f"a rejection's status is 400 to 499, not {self.status}")
        pairs = violations.items() if hasattr(violations, "items") else violations
        self.violations = tuple((_pointer(field), text) for field, text in pairs)


class ValidationError(Reject):
    """What came in is wrong."""

    default_status = 422
    default_code = "invalid"


class NotFound(Reject):
    """What was asked for isn't there."""

    default_status = 404
    default_code = "not_found"


class Forbidden(Reject):
    """Whoever asks may not."""

    default_status = 403
    default_code = "forbidden"


class Retryable(TinyBaseError):  # noqa: N818 - a word of the protocol
    """Fails this attempt; a durable event is delivered again, no sooner than `after`."""

    def __init__(self, message: str, *, after: timedelta | float | None = None) -> None:
        super().__init__(message)
        if after is None:
            after = 0
        self.after_seconds = after if isinstance(after, (int, float)) else after.total_seconds()
        if self.after_seconds < 0:
            raise ValueError(f"after is a time from now, not {after!r}")


class HostError(TinyBaseError):
    """A call-back to the server failed; `kind` says how.

    Kinds: "NotFound", "PermissionDenied", "InvalidArgument", "FailedPrecondition",
    "ResourceExhausted", "Unavailable", "DeadlineExceeded", "Unauthenticated", "Cancelled",
    "Internal".
    """

    def __init__(self, message: str, *, kind: str = "Internal") -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self.kind in ("ResourceExhausted", "Unavailable")


class HostNotFound(HostError, NotFound):  # noqa: N818 - a NotFound of the host
    """What a call-back asked for isn't there. Not caught, it is the client's 404."""

    def __init__(self, message: str) -> None:
        NotFound.__init__(self, message)
        self.kind = "NotFound"


class CallFailed(TinyBaseError):  # noqa: N818 - an event of the protocol
    """A function that was called failed."""

    def __init__(self, message: str, *, error_type: str, call_id: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.call_id = call_id


class RegistrationError(TinyBaseError):
    """Two hooks or functions of this extension get in each other's way."""


def host_error(kind: str, message: str) -> HostError:
    """The exception for a call-back's failure."""
    return HostNotFound(message) if kind == "NotFound" else HostError(message, kind=kind)


def _pointer(field: str) -> str:
    return field if field == "" or field.startswith("/") else "/" + field.replace(".", "/")
