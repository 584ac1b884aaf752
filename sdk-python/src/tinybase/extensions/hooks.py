"""Registries by kind of hook, under the names that TinyBase's own module had.

For code and tests that looked into them. They are views of what the decorators registered.
"""

from __future__ import annotations

from tinybase import _registry
from tinybase._events import (
    FunctionCallEvent,
    FunctionCompleteEvent,
    RecordCreateEvent,
    RecordDeleteEvent,
    RecordUpdateEvent,
    UserLoginEvent,
    UserRegisterEvent,
)
from tinybase._registry import AFTER, Hook, HookOptions
from tinybase.extensions._decorators import (
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = [
    "FunctionCallEvent",
    "FunctionCompleteEvent",
    "HookRegistry",
    "RecordCreateEvent",
    "RecordDeleteEvent",
    "RecordUpdateEvent",
    "UserLoginEvent",
    "UserRegisterEvent",
    "clear_hooks",
    "on_function_call",
    "on_function_complete",
    "on_record_create",
    "on_record_delete",
    "on_record_update",
    "on_shutdown",
    "on_startup",
    "on_user_login",
    "on_user_register",
    "run_function_call_hooks",
    "run_function_complete_hooks",
    "run_record_create_hooks",
    "run_record_delete_hooks",
    "run_record_update_hooks",
    "run_shutdown_hooks",
    "run_startup_hooks",
    "run_user_login_hooks",
    "run_user_register_hooks",
]


class HookRegistry:
    """The after-hooks of one event; without an event, a list of its own."""

    def __init__(self, event: str | None = None) -> None:
        self._event = event or "free"
        self._own = None if event else _registry.Registry()

    @property
    def hooks(self) -> list[tuple[Callable[..., Any], str | None]]:
        """Each function with its filter."""
        return [(hook.function, hook.filter) for hook in self._registry().hooks if self._is(hook)]

    def register(self, func: Callable[..., Any], filter_value: str | None = None) -> None:
        """Registers a function."""
        options = HookOptions(None if filter_value == "*" else filter_value)
        self._registry().add_hook(Hook(self._event, AFTER, func, options))

    def get_hooks(self, filter_value: str | None = None) -> list[Callable[..., Any]]:
        """The functions whose filter lets a value pass."""
        return [function for function, name in self.hooks if name in (None, filter_value)]

    def clear(self) -> None:
        """Forgets all of them."""
        registry = self._registry()
        registry.hooks[:] = [hook for hook in registry.hooks if not self._is(hook)]

    def _registry(self) -> _registry.Registry:
        return self._own or _registry.active()

    def _is(self, hook: Hook) -> bool:
        return (hook.event, hook.phase) == (self._event, AFTER)


_user_login_hooks = HookRegistry("user.login")
_user_register_hooks = HookRegistry("user.register")
_record_create_hooks = HookRegistry("record.create")
_record_update_hooks = HookRegistry("record.update")
_record_delete_hooks = HookRegistry("record.delete")
_function_call_hooks = HookRegistry("function.call")
_function_complete_hooks = HookRegistry("function.complete")


def __getattr__(name: str) -> list[Callable[..., Any]]:
    if name in ("_startup_hooks", "_shutdown_hooks"):
        return HookRegistry(name.removeprefix("_").removesuffix("_hooks")).get_hooks()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def clear_hooks() -> None:
    """Forgets all hooks."""
    _registry.active().hooks.clear()


async def _run_hooks(hooks: Iterable[Callable[..., Any]], event: object = None) -> None:
    """Runs hooks one after the other; what they raise is logged and goes no further."""
    for hook in hooks:
        try:
            result = hook() if event is None else hook(event)
            if hasattr(result, "__await__"):
                await result
        except Exception:
            import logging

            logging.getLogger(__name__).exception("the hook %s failed", hook.__qualname__)


async def run_startup_hooks() -> None:
    """Runs them."""
    await _run_hooks(HookRegistry("startup").get_hooks())


async def run_shutdown_hooks() -> None:
    """Runs them."""
    await _run_hooks(HookRegistry("shutdown").get_hooks())


async def run_user_login_hooks(event: UserLoginEvent) -> None:
    """Runs them."""
    await _run_hooks(_user_login_hooks.get_hooks(), event)


async def run_user_register_hooks(event: UserRegisterEvent) -> None:
    """Runs them."""
    await _run_hooks(_user_register_hooks.get_hooks(), event)


async def run_record_create_hooks(event: RecordCreateEvent) -> None:
    """Runs those that want its collection."""
    await _run_hooks(_record_create_hooks.get_hooks(event.collection), event)


async def run_record_update_hooks(event: RecordUpdateEvent) -> None:
    """Runs those that want its collection."""
    await _run_hooks(_record_update_hooks.get_hooks(event.collection), event)


async def run_record_delete_hooks(event: RecordDeleteEvent) -> None:
    """Runs those that want its collection."""
    await _run_hooks(_record_delete_hooks.get_hooks(event.collection), event)


async def run_function_call_hooks(event: FunctionCallEvent) -> None:
    """Runs those that want its function."""
    await _run_hooks(_function_call_hooks.get_hooks(event.function_name), event)


async def run_function_complete_hooks(event: FunctionCompleteEvent) -> None:
    """Runs those that want its function."""
    await _run_hooks(_function_complete_hooks.get_hooks(event.function_name), event)
