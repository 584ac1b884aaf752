"""Functions that are generators: what they yield is sent chunk by chunk.

The server grants room for a few chunks at a time, so a generator rests at its `yield` while whoever
called it doesn't read. When nobody wants the rest, it is closed there, as Python closes any.
"""

from __future__ import annotations

from tinybase._invocation import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from typing import Any

    from tinybase._dispatch import Arguments, Entry, Result
    from tinybase._invocation import Invocation, Outcome
    from tinybase._registry import Function

_UNWANTED = ("fault", "Cancelled", "nobody wants the result any more", "", 0)


def stream_entry(function: Function, arguments: Arguments, result: Result) -> Entry:
    """What to call for the invocations of a generator."""
    handler = function.function

    def run(invocation: Invocation) -> Outcome:
        token = current.set(invocation)
        try:
            return _send_all(invocation, handler(*arguments(invocation)), result)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this call only
            return _failed(error)
        finally:
            current.reset(token)

    async def run_async(invocation: Invocation) -> Outcome:
        token = current.set(invocation)
        try:
            return await _send_all_async(invocation, handler(*arguments(invocation)), result)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this call only
            return _failed(error)
        finally:
            current.reset(token)

    return run_async if function.is_async else run


def _send_all(invocation: Invocation, values: Generator[Any, None, Any], result: Result) -> Outcome:
    if not invocation.takes_chunks:
        return _array([_json(result(value)) for value in values])
    try:
        for value in values:
            if not invocation.send_chunk(_json(result(value))):
                return _UNWANTED
    finally:
        values.close()
    return None


async def _send_all_async(
    invocation: Invocation, values: AsyncGenerator[Any, None], result: Result
) -> Outcome:
    if not invocation.takes_chunks:
        return _array([_json(result(value)) async for value in values])
    try:
        async for value in values:
            text = _json(result(value))
            if invocation.offer_chunk(text):
                continue
            from tinybase._aio import in_thread

            if not await in_thread(invocation.send_chunk, text):
                return _UNWANTED
    finally:
        await values.aclose()
    return None


def _json(outcome: Outcome) -> str:
    """The JSON of a chunk, which is made as a whole result is."""
    return "null" if outcome is None else outcome[1]


def _array(chunks: list[str]) -> Outcome:
    """The result for a server that is older than chunks."""
    return ("success", f"[{','.join(chunks)}]", None)


def _failed(error: BaseException) -> Outcome:
    from tinybase._fault import outcome_of

    return outcome_of(error, rejects=True)
