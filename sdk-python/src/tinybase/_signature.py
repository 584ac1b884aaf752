"""Checks of what a decorator is put on, at import; a plain `def` needs no `inspect` for it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_VARARGS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x20, 0x80, 0x200


def describe(function: object) -> str:
    """Names a function with its place, for an error."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__qualname__", None) or repr(function)
    if code is None:
        return str(name)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})"


def check(
    function: Callable[..., Any],
    decorator: str,
    parameters: tuple[str, ...],
    *,
    may_stream: bool = False,
) -> None:
    """Refuses a function that can't be called with these positional arguments.

    Args:
        function: The function.
        decorator: The decorator's name, for the error.
        parameters: What it is called with.
        may_stream: Whether it may be a generator.

    Raises:
        TypeError: With the function's name and place.
    """
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"@{decorator} decorates a function, not {function!r}")
    if streams(function) and not may_stream:
        raise TypeError(
            f"{describe(function)} has a `yield`, so calling it runs nothing of it; "
            f"@{decorator} needs a plain `def` or `async def`"
        )
    if not _accepts(function, len(parameters)):
        wanted = f"({', '.join(parameters)})" if parameters else "no arguments"
        raise TypeError(
            f"{describe(function)} can't be called as @{decorator} will call it: "
            f"it has to take {wanted}"
        )


def streams(function: Callable[..., Any]) -> bool:
    """Whether calling it makes a generator, as far as can be told without calling it."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return bool(flags & (_GENERATOR | _ASYNC_GENERATOR))


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine or an asynchronous generator.

    As far as that can be told without calling it.
    """
    code = getattr(function, "__code__", None)
    if code is not None:
        return bool(code.co_flags & (_COROUTINE | _ASYNC_GENERATOR))
    import inspect

    target = getattr(function, "func", function)
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)  # noqa: B004 - its kind is asked for, not whether it is there
    )


def milliseconds(decorator: str, timeout: object) -> int:
    """A `timedelta` as milliseconds; 0 means the default."""
    if timeout is None:
        return 0
    total_seconds = getattr(timeout, "total_seconds", None)
    seconds: float = total_seconds() if total_seconds is not None else 0
    if seconds <= 0:
        raise TypeError(f"@{decorator}: timeout is a positive timedelta, not {timeout!r}")
    return max(1, round(seconds * 1000))


def no_such_keyword(
    decorator: str, unknown: dict[str, object], known: tuple[str, ...]
) -> TypeError:
    """The error for a keyword that a decorator doesn't have, with the nearest that it has."""
    from difflib import get_close_matches

    name = next(iter(unknown))
    if not known:
        return TypeError(f"@{decorator} takes no keyword arguments, but got {name!r}")
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
    return TypeError(f"@{decorator} has no argument {name!r}; {hint}")


def _accepts(function: Callable[..., Any], count: int) -> bool:
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return _accepts_by_inspection(function, count)
    bound = 1 if getattr(function, "__self__", None) is not None else 0
    positional = code.co_argcount - bound
    defaults = getattr(function, "__defaults__", None) or ()
    keywords = getattr(function, "__kwdefaults__", None) or {}
    enough = count <= positional or bool(code.co_flags & _VARARGS)
    few_needed = positional - len(defaults) <= count and code.co_kwonlyargcount <= len(keywords)
    return enough and bool(few_needed)


def _accepts_by_inspection(function: Callable[..., Any], count: int) -> bool:
    import inspect

    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # A function in C that doesn't tell.
        return True
    return True
