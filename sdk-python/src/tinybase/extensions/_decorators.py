"""The decorators of `tinybase.extensions`.

Each works bare (`@on_user_login`), called (`@on_user_login()`), and, where it has a filter, with
the filter by keyword or by position. `None` and `"*"` mean all. Each returns the function itself.
"""

from __future__ import annotations

from tinybase import _registry
from tinybase._registry import AFTER, BEFORE, Hook, HookOptions
from tinybase._signature import check, describe, milliseconds, no_such_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybase.extensions._types import (
        BeforeFunctionDecorator,
        BeforeRecordDecorator,
        BeforeUserDecorator,
        FunctionDecorator,
        LifecycleDecorator,
        RecordDecorator,
        UserDecorator,
    )

_EVENT_CLASSES = {
    (BEFORE, "user.register"): "BeforeUserRegisterEvent",
    (AFTER, "user.register"): "UserRegisterEvent",
    (BEFORE, "user.login"): "UserLoginEvent",
    (AFTER, "user.login"): "UserLoginEvent",
    (BEFORE, "record.create"): "BeforeRecordCreateEvent",
    (AFTER, "record.create"): "RecordCreateEvent",
    (BEFORE, "record.update"): "RecordUpdateEvent",
    (AFTER, "record.update"): "RecordUpdateEvent",
    (BEFORE, "record.delete"): "RecordDeleteEvent",
    (AFTER, "record.delete"): "RecordDeleteEvent",
    (BEFORE, "function.call"): "FunctionCallEvent",
    (AFTER, "function.call"): "FunctionCallEvent",
    (AFTER, "function.complete"): "FunctionCompleteEvent",
}


class _Decorator:
    """One decorator: an event, a phase, and the options that it takes."""

    def __init__(self, phase: str, event: str, filter: str | None = None) -> None:
        self._phase = phase
        self._event = event
        self._filter = filter
        self.__name__ = ("before_" if phase == BEFORE else "on_") + event.replace(".", "_")
        self.__qualname__ = self.__name__
        known = [filter] if filter else []
        if phase == BEFORE:
            known.append("priority")
        if event not in ("startup", "shutdown"):
            known.append("timeout")
        if event.startswith("record."):
            known.append("reentrant")
        self._known = tuple(known)

    def __repr__(self) -> str:
        return f"<decorator tinybase.extensions.{self.__name__}>"

    def __call__(self, *positional: Any, **keywords: Any) -> Any:  # noqa: ANN401 - typed in _types
        unknown = {name: keywords[name] for name in keywords if name not in self._known}
        if unknown:
            raise no_such_keyword(self.__name__, unknown, self._known)
        if len(positional) == 1 and callable(positional[0]) and not keywords:
            return self._register(positional[0], HookOptions())
        options = self._options(positional, keywords)
        return lambda function: self._register(function, options)

    def _options(self, positional: tuple[Any, ...], keywords: dict[str, Any]) -> HookOptions:
        places = 1 if self._filter else 0
        if len(positional) > places or (positional and self._filter in keywords):
            takes = f"the {self._filter}" if self._filter else "nothing"
            raise TypeError(f"@{self.__name__} takes {takes} by position, but got {positional!r}")
        name = positional[0] if positional else keywords.get(self._filter or "")
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(
                f"@{self.__name__}: {self._filter} is a name, None or '*', not {name!r}"
            )
        return HookOptions(
            None if name == "*" else name,
            priority=self._integer(keywords.get("priority", 0)),
            timeout_ms=milliseconds(self.__name__, keywords.get("timeout")),
            reentrant=bool(keywords.get("reentrant", False)),
        )

    def _integer(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"@{self.__name__}: priority is an int, not {value!r}")
        return value

    def _register(self, function: Callable[..., Any], options: HookOptions) -> Callable[..., Any]:
        has_event = (self._phase, self._event) in _EVENT_CLASSES
        check(function, self.__name__, ("event",) if has_event else ())
        if has_event:
            self._check_annotation(function)
        _registry.active().add_hook(Hook(self._event, self._phase, function, options))
        return function

    def _check_annotation(self, function: Callable[..., Any]) -> None:
        """Refuses a handler whose parameter is annotated with another hook's event."""
        annotations = getattr(function, "__annotations__", {})
        code = getattr(function, "__code__", None)
        first = code.co_varnames[0] if code is not None and code.co_argcount else ""
        written = annotations.get(first)
        name = written if isinstance(written, str) else getattr(written, "__name__", None)
        wanted = _EVENT_CLASSES[self._phase, self._event]
        if name in _EVENT_CLASSES.values() and name != wanted:
            raise TypeError(
                f"{describe(function)}: @{self.__name__} hands over a {wanted}, "
                f"but {first!r} is annotated as {name}"
            )


on_startup: LifecycleDecorator = _Decorator(AFTER, "startup")
on_shutdown: LifecycleDecorator = _Decorator(AFTER, "shutdown")
on_user_login: UserDecorator = _Decorator(AFTER, "user.login")
on_user_register: UserDecorator = _Decorator(AFTER, "user.register")
on_record_create: RecordDecorator = _Decorator(AFTER, "record.create", "collection")
on_record_update: RecordDecorator = _Decorator(AFTER, "record.update", "collection")
on_record_delete: RecordDecorator = _Decorator(AFTER, "record.delete", "collection")
on_function_call: FunctionDecorator = _Decorator(AFTER, "function.call", "name")
on_function_complete: FunctionDecorator = _Decorator(AFTER, "function.complete", "name")

before_user_login: BeforeUserDecorator = _Decorator(BEFORE, "user.login")
before_user_register: BeforeUserDecorator = _Decorator(BEFORE, "user.register")
before_record_create: BeforeRecordDecorator = _Decorator(BEFORE, "record.create", "collection")
before_record_update: BeforeRecordDecorator = _Decorator(BEFORE, "record.update", "collection")
before_record_delete: BeforeRecordDecorator = _Decorator(BEFORE, "record.delete", "collection")
before_function_call: BeforeFunctionDecorator = _Decorator(BEFORE, "function.call", "name")
