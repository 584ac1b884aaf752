"""Between event objects and what an invocation carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybase import _json
from tinybase._events import (
    FunctionCallEvent,
    FunctionCompleteEvent,
    RecordCreateEvent,
    RecordDeleteEvent,
    RecordUpdateEvent,
    UserLoginEvent,
    UserRegisterEvent,
)

if TYPE_CHECKING:
    from tinybase.data import StoredRecord
    from tinybase.testing._invocation import FakeInvocation

Event = (
    FunctionCallEvent
    | FunctionCompleteEvent
    | RecordCreateEvent
    | RecordDeleteEvent
    | RecordUpdateEvent
    | UserLoginEvent
    | UserRegisterEvent
)

_NAMES: dict[type, str] = {
    FunctionCallEvent: "function.call",
    FunctionCompleteEvent: "function.complete",
    RecordCreateEvent: "record.create",
    RecordDeleteEvent: "record.delete",
    RecordUpdateEvent: "record.update",
    UserLoginEvent: "user.login",
    UserRegisterEvent: "user.register",
}
# Attributes of an invocation that go by another name than the event's field.
_RENAMED = {"function_name": "name", "payload": "input", "new_data": "data"}


def event_name(event: Event) -> tuple[str, str | None]:
    """The event's name on the wire, and what filters look at."""
    subject = getattr(event, "collection", getattr(event, "function_name", None))
    return _NAMES[type(event)], subject


def fill(invocation: FakeInvocation, event: Event) -> None:
    """Writes an event's fields into an invocation, as the server's text."""
    for name in event.__match_args__:
        value: Any = getattr(event, name)
        if isinstance(value, dict):
            value = _json.dumps(value)
        elif not isinstance(value, (bool, int)):
            value = "" if value is None else str(value)
        setattr(invocation, _RENAMED.get(name, name), value)


def record_event(event: str, record: StoredRecord, before: dict[str, Any]) -> Event:
    """The event of a record's creation, change or deletion."""
    facts = (record.collection, record.id)
    if event == "record.update":
        return RecordUpdateEvent(*facts, before, record.data, record.owner_id)
    if event == "record.delete":
        return RecordDeleteEvent(*facts, record.data, record.owner_id)
    return RecordCreateEvent(*facts, record.data, record.owner_id)
