"""Work as the server would hand it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from tinybase._host import Host


def _nobody_waits(_outcome: object) -> None:
    return


@dataclass
class FakeInvocation:
    """Stands in for the native module's invocation, with the same attributes."""

    host: Host
    event: str
    handler: str
    phase: str = "after"
    id: str = field(default_factory=lambda: str(uuid4()))
    timeout_ms: int = 30_000
    remaining_ms: int = 30_000
    attempt: int = 1
    event_id: str = field(default_factory=lambda: str(uuid4()))
    occurred_at: str = ""
    traceparent: str = ""
    collection: str = ""
    record_id: str = ""
    owner_id: str = ""
    version: int = 0
    data: str = ""
    old_data: str = ""
    user_id: str = ""
    email: str = ""
    is_admin: bool = False
    name: str = ""
    input: str = ""
    call_id: str = ""
    trigger_type: str = ""
    trigger_id: str = ""
    status: str = ""
    duration_ms: int = 0
    error_message: str = ""
    error_type: str = ""
    cancelled: bool = False
    takes_chunks: bool = False
    chunks: list[str] = field(default_factory=list)
    finish: Callable[[Any], None] = _nobody_waits

    def send_chunk(self, value: str) -> bool:
        """Keeps a chunk; false once the call is cancelled, as on the server."""
        if not self.cancelled:
            self.chunks.append(value)
        return not self.cancelled

    offer_chunk = send_chunk
