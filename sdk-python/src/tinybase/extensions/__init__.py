"""Hooks: functions of an extension that run when something happens in the server.

The nine documented hooks run after it has happened, at least once for each event and in order for
each record; what they return is ignored and what they raise changes no response. The `before_`
hooks run within the request: they return a dict of changes (a JSON merge patch), or raise
`tinybase.errors.Reject` to refuse it.
"""

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
from tinybase.extensions._activity import create_activity_logger, log_extension_activity
from tinybase.extensions._decorators import (
    before_function_call,
    before_record_create,
    before_record_delete,
    before_record_update,
    before_user_login,
    before_user_register,
    on_function_call,
    on_function_complete,
    on_record_create,
    on_record_delete,
    on_record_update,
    on_shutdown,
    on_startup,
    on_user_login,
    on_user_register,
)

__all__ = [
    "BeforeRecordCreateEvent",
    "BeforeUserRegisterEvent",
    "FunctionCallEvent",
    "FunctionCompleteEvent",
    "RecordCreateEvent",
    "RecordDeleteEvent",
    "RecordUpdateEvent",
    "UserLoginEvent",
    "UserRegisterEvent",
    "before_function_call",
    "before_record_create",
    "before_record_delete",
    "before_record_update",
    "before_user_login",
    "before_user_register",
    "create_activity_logger",
    "log_extension_activity",
    "on_function_call",
    "on_function_complete",
    "on_record_create",
    "on_record_delete",
    "on_record_update",
    "on_shutdown",
    "on_startup",
    "on_user_login",
    "on_user_register",
]
