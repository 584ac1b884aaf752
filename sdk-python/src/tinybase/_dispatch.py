"""From an invocation to a handler's call to an outcome.

The same entries are called by the native module and by `tinybase.testing`.
"""

from __future__ import annotations

from tinybase._invocation import current
from tinybase._registry import BEFORE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from tinybase._invocation import Invocation, Outcome
    from tinybase._registry import Function, Hook

    # Runs a handler to its end; an asynchronous one gives a coroutine that does.
    Entry = Callable[[Invocation], Outcome] | Callable[[Invocation], Coroutine[Any, Any, Outcome]]
    Arguments = Callable[[Invocation], tuple[Any, ...]]
    Result = Callable[[Any], Outcome]


def hook_entry(hook: Hook) -> Entry:
    """What to call for a hook's invocations."""
    before = hook.phase == BEFORE
    arguments = _arguments(hook.event, before=before)
    result = _patch if before else _ignored
    return _entry(hook.function, arguments, result, rejects=before, asynchronous=hook.is_async)


def function_entry(function: Function) -> Entry:
    """What to call for a function's invocations."""
    from tinybase._models import output_of, payload_of

    payload = payload_of(function.input_model)

    def arguments(invocation: Invocation) -> tuple[Any, ...]:
        from tinybase._context import Context

        return (Context(invocation), payload(invocation.input))

    result = output_of(function.output_model)
    if function.streams:
        from tinybase._stream import stream_entry

        return stream_entry(function, arguments, result)
    asynchronous = function.is_async
    return _entry(function.function, arguments, result, rejects=True, asynchronous=asynchronous)


def _entry(
    handler: Callable[..., Any],
    arguments: Arguments,
    result: Result,
    *,
    rejects: bool,
    asynchronous: bool,
) -> Entry:
    def run(invocation: Invocation) -> Outcome:
        token = current.set(invocation)
        try:
            value = handler(*arguments(invocation))
            if value is not None and hasattr(value, "__await__"):
                value = _finish(value)
            return result(value)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this call only
            from tinybase._fault import outcome_of

            return outcome_of(error, rejects=rejects)
        finally:
            current.reset(token)

    async def run_async(invocation: Invocation) -> Outcome:
        token = current.set(invocation)
        try:
            return result(await handler(*arguments(invocation)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this call only
            from tinybase._fault import outcome_of

            return outcome_of(error, rejects=rejects)
        finally:
            current.reset(token)

    return run_async if asynchronous else run


def _finish(awaitable: Awaitable[Any]) -> Any:  # noqa: ANN401 - the handler's result
    """Awaits what a `def` handler returned, such as one wrapped by a decorator."""
    from tinybase._aio import loop

    return loop().finish(awaitable)


def _ignored(_value: object) -> Outcome:
    return None


def _patch(value: object) -> Outcome:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError(
            f"a before-hook returns a dict of changes or nothing, not a {type(value).__name__}"
        )
    from tinybase import _json

    return ("success", None, _json.dumps(value))


def _arguments(event: str, *, before: bool) -> Arguments:
    if event in ("startup", "shutdown"):
        return lambda _invocation: ()

    make: Callable[[Invocation], Any] | None = None

    def first(invocation: Invocation) -> tuple[Any, ...]:
        # The module is imported with the first event and not at start.
        nonlocal make
        if make is None:
            from tinybase import _decode

            make = _decode.decoder(event, before=before)
        return (make(invocation),)

    return first
