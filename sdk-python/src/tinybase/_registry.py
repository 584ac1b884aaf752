"""What an extension registers while it is imported."""

from __future__ import annotations

from tinybase._signature import describe, is_async, streams
from tinybase.errors import RegistrationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

AFTER = "after"
BEFORE = "before"


class Hook:
    """One handler of one event."""

    __slots__ = (
        "event",
        "filter",
        "function",
        "is_async",
        "phase",
        "priority",
        "reentrant",
        "timeout_ms",
    )

    def __init__(
        self, event: str, phase: str, function: Callable[..., Any], options: HookOptions
    ) -> None:
        self.event = event
        self.phase = phase
        self.function = function
        self.filter = options.filter
        self.priority = options.priority
        self.timeout_ms = options.timeout_ms
        self.reentrant = options.reentrant
        self.is_async = is_async(function)


class HookOptions:
    """How a hook wants to be called."""

    __slots__ = ("filter", "priority", "reentrant", "timeout_ms")

    def __init__(
        self,
        filter: str | None = None,
        *,
        priority: int = 0,
        timeout_ms: int = 0,
        reentrant: bool = False,
    ) -> None:
        self.filter = filter
        self.priority = priority
        self.timeout_ms = timeout_ms
        self.reentrant = reentrant


class Function:
    """One function that API clients can call."""

    __slots__ = (
        "auth",
        "concurrency",
        "description",
        "function",
        "input_model",
        "is_async",
        "name",
        "output_model",
        "streams",
        "tags",
        "timeout_ms",
    )

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function
        self.description = ""
        self.auth = "auth"
        self.input_model: Any = None
        self.output_model: Any = None
        self.tags: list[str] = []
        self.timeout_ms = 0
        self.concurrency = 0
        self.is_async = is_async(function)
        self.streams = streams(function)


class Schedule:
    """When a function is called by itself."""

    __slots__ = (
        "function",
        "input",
        "jitter_ms",
        "missed",
        "name",
        "overlap",
        "timeout_ms",
        "timing",
    )

    def __init__(self, function: Callable[..., Any], timing: str) -> None:
        self.function = function
        self.timing = timing
        self.name = ""
        self.input = ""
        self.missed = "run_once"
        self.overlap = "skip"
        self.timeout_ms = 0
        self.jitter_ms = 0


class Registry:
    """The hooks, functions and schedules of one extension, in the order of their registration."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.functions: dict[str, Function] = {}
        self.schedules: list[Schedule] = []

    def add_hook(self, hook: Hook) -> None:
        """Takes a hook.

        Raises:
            RegistrationError: If the same function already has that event with that filter.
        """
        for other in self.hooks:
            if other.function is hook.function and _place(other) == _place(hook):
                raise RegistrationError(
                    f"{describe(hook.function)} is registered twice for {' '.join(_place(hook))}"
                )
        self.hooks.append(hook)

    def add_function(self, function: Function) -> None:
        """Takes a function.

        Raises:
            RegistrationError: If the name is taken.
        """
        other = self.functions.get(function.name)
        if other is not None:
            raise RegistrationError(
                f"the function name {function.name!r} is taken: {describe(function.function)} "
                f"and {describe(other.function)} both register it"
            )
        self.functions[function.name] = function

    def named_schedules(self) -> Iterator[tuple[str, str, Schedule]]:
        """The schedules with their names and the names of the functions that they call.

        Raises:
            RegistrationError: If one is on what isn't a function, or two share a name.
        """
        names = {entry.function: name for name, entry in self.functions.items()}
        seen: set[str] = set()
        for schedule in self.schedules:
            function = names.get(schedule.function)
            if function is None:
                raise RegistrationError(
                    f"{describe(schedule.function)} has a @schedule and is no function; "
                    "put @register(name=…) on it too"
                )
            name = schedule.name or function
            if name in seen:
                raise RegistrationError(
                    f"two schedules are named {name!r}; give one a name: @schedule(name=…)"
                )
            seen.add(name)
            yield (name, function, schedule)

    def named_hooks(self, package: str = "") -> Iterator[tuple[str, Hook]]:
        """The hooks with their names, which stay the same from one start to the next.

        A durable subscription hangs on the name. It is the function's module and name; where two
        hooks would share it, the event and the filter are added, and then a number.
        """
        plain = [_name(hook.function, package) for hook in self.hooks]
        seen: dict[str, int] = {}
        for name, hook in zip(plain, self.hooks, strict=True):
            full = name if plain.count(name) == 1 else ":".join([name, *_place(hook)])
            seen[full] = seen.get(full, 0) + 1
            yield (full if seen[full] == 1 else f"{full}#{seen[full]}", hook)


_active = Registry()


def active() -> Registry:
    """The registry that decorators write to."""
    return _active


class use:  # noqa: N801 - a context manager that reads as a verb
    """Makes a registry the active one within a `with`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._former = _active

    def __enter__(self) -> Registry:
        global _active
        self._former, _active = _active, self._registry
        return self._registry

    def __exit__(self, *_: object) -> None:
        global _active
        _active = self._former


def _place(hook: Hook) -> list[str]:
    phase = ["before"] if hook.phase == BEFORE else []
    return [*phase, hook.event, *([hook.filter] if hook.filter else [])]


def _name(function: Callable[..., Any], package: str) -> str:
    target = getattr(function, "func", function)
    module = str(getattr(target, "__module__", None) or "")
    if package and module == package:
        module = ""
    elif package:
        module = module.removeprefix(package + ".")
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{module}.{name}" if module else str(name)
