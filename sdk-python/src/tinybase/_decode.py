"""From an invocation to the event that its hook is given."""

from __future__ import annotations

from tinybase._events import (
    BeforeRecordCreateEvent,
    BeforeUserRegisterEvent,
    FunctionCallEvent,
    FunctionCompleteEvent,
    RecordCreateEvent,
    RecordDeleteEvent,
    RecordUpdateEvent,
    UserLoginEvent,
    UserRegisterEvent,
)
from tinybase._json import loads, parse_optional_uuid, parse_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybase._invocation import Invocation


def decoder(event: str, *, before: bool) -> Callable[[Invocation], object]:
    """What makes the event of this name."""
    if before and event in _BEFORE:
        return _BEFORE[event]
    return _AFTER[event]


def _user_login(it: Invocation) -> UserLoginEvent:
    return UserLoginEvent(parse_uuid(it.user_id), it.email, it.is_admin)


def _user_register(it: Invocation) -> UserRegisterEvent:
    return UserRegisterEvent(parse_uuid(it.user_id), it.email)


def _before_user_register(it: Invocation) -> BeforeUserRegisterEvent:
    return BeforeUserRegisterEvent(it.email)


def _record_create(it: Invocation) -> RecordCreateEvent:
    owner = parse_optional_uuid(it.owner_id)
    return RecordCreateEvent(it.collection, parse_uuid(it.record_id), loads(it.data), owner)


def _before_record_create(it: Invocation) -> BeforeRecordCreateEvent:
    return BeforeRecordCreateEvent(it.collection, loads(it.data), parse_optional_uuid(it.owner_id))


def _record_update(it: Invocation) -> RecordUpdateEvent:
    old, new = loads(it.old_data or "{}"), loads(it.data)
    owner = parse_optional_uuid(it.owner_id)
    return RecordUpdateEvent(it.collection, parse_uuid(it.record_id), old, new, owner)


def _record_delete(it: Invocation) -> RecordDeleteEvent:
    owner = parse_optional_uuid(it.owner_id)
    return RecordDeleteEvent(it.collection, parse_uuid(it.record_id), loads(it.data), owner)


def _function_call(it: Invocation) -> FunctionCallEvent:
    return FunctionCallEvent(it.name, parse_optional_uuid(it.user_id), loads(it.input or "{}"))


def _function_complete(it: Invocation) -> FunctionCompleteEvent:
    return FunctionCompleteEvent(
        it.name,
        parse_optional_uuid(it.user_id),
        it.status,
        it.duration_ms,
        it.error_message or None,
        it.error_type or None,
    )


_BEFORE: dict[str, Callable[[Invocation], object]] = {
    "user.register": _before_user_register,
    "record.create": _before_record_create,
}
_AFTER: dict[str, Callable[[Invocation], object]] = {
    "user.login": _user_login,
    "user.register": _user_register,
    "record.create": _record_create,
    "record.update": _record_update,
    "record.delete": _record_delete,
    "function.call": _function_call,
    "function.complete": _function_complete,
}
