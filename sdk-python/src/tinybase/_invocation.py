"""One piece of work, as a handler's wrapper sees it, and what a handler's end looks like."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import ContextVar
    from typing import Any, Protocol

    from tinybase._host import Host

    class Invocation(Protocol):
        """What the native module, or a test's harness, hands over. Texts are empty if unset."""

        id: str
        event: str
        handler: str
        phase: str
        timeout_ms: int
        attempt: int
        event_id: str
        occurred_at: str
        traceparent: str

        collection: str
        record_id: str
        owner_id: str
        version: int
        data: str
        old_data: str

        user_id: str
        email: str
        is_admin: bool

        name: str
        input: str
        call_id: str
        trigger_type: str
        trigger_id: str

        status: str
        duration_ms: int
        error_message: str
        error_type: str

        cancelled: bool
        """Whether the outcome is no longer wanted."""
        takes_chunks: bool
        """Whether the server takes the result of a generator chunk by chunk."""
        remaining_ms: int
        """How much of the time is left."""
        host: Host
        """The way to call the server."""

        def send_chunk(self, value: str) -> bool:
            """Sends JSON as soon as there is room; false if nobody wants it any more."""
            ...

        def offer_chunk(self, value: str) -> bool:
            """Sends JSON if there is room now; whether it did."""
            ...

    # How a handler ended; none means success without a value.
    #   ("success", output JSON, patch JSON)
    #   ("reject", status, code, message, ((field, message), …))
    #   ("fault", type, message, stack, retry after so many milliseconds)
    Outcome = tuple[Any, ...] | None

    current: ContextVar[Invocation | None]
else:
    # `contextvars` itself is a module of Python that only re-exports these.
    from _contextvars import ContextVar

current = ContextVar("tinybase_invocation", default=None)
"""The invocation that runs in this thread or task."""
