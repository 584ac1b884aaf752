"""What the added methods do, written once for clients that block and clients that are awaited.

A flow is a generator: it yields calls and pauses, and is sent the responses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """A client's method to call."""

    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait."""

    seconds: float


Flow = Generator[Call | Pause, Any, Result]


def run(client: Any, flow: Flow[Result]) -> Result:
    """Runs a flow with a client that blocks."""
    try:
        step = next(flow)
        while True:
            try:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    answer = None
                else:
                    answer = getattr(client, step.method)(**step.params)
            except Exception as error:  # noqa: BLE001 - the flow decides
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as stop:
        result: Result = stop.value
        return result


async def run_async(client: Any, flow: Flow[Result]) -> Result:
    """Runs a flow with a client that is awaited."""
    try:
        step = next(flow)
        while True:
            try:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    answer = None
                else:
                    answer = await getattr(client, step.method)(**step.params)
            except Exception as error:  # noqa: BLE001 - the flow decides
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as stop:
        result: Result = stop.value
        return result
