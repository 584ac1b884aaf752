"""Functions that are generators, in a test's harness."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from tinybase._registry import Registry
from tinybase.functions import Context, register
from tinybase.testing import Faulted, Harness


class Number(BaseModel):
    n: int


def test_what_is_yielded_is_the_result_one_by_one(registry: Registry) -> None:
    @register("count", output_model=Number)
    def count(ctx: Context, payload: dict[str, Any]) -> Iterator[Number | dict[str, Any]]:
        yield Number(n=1)
        yield {"n": payload["to"]}

    @register("count_async")
    async def count_async(ctx: Context, payload: dict[str, Any]) -> AsyncIterator[int | None]:
        yield 1
        await asyncio.sleep(0)
        yield None

    entry = registry.functions["count"]
    assert (entry.streams, entry.is_async) == (True, False)
    entry = registry.functions["count_async"]
    assert (entry.streams, entry.is_async) == (True, True)
    with Harness(registry) as harness:
        assert harness.call("count", {"to": 7}) == [{"n": 1}, {"n": 7}]
        assert harness.call("count_async") == [1, None]


def test_what_is_raised_ends_the_stream(registry: Registry) -> None:
    @register("count")
    def count(ctx: Context, payload: dict[str, Any]) -> Iterator[int]:
        yield 1
        raise KeyError("two")

    with Harness(registry) as harness:
        call = harness.start("count")
        with pytest.raises(Faulted, match="KeyError"):
            call.result()
        assert call.chunks == [1]


def test_a_value_without_a_json_form_is_a_failure(registry: Registry) -> None:
    @register("count", output_model=Number)
    def count(ctx: Context, payload: dict[str, Any]) -> Iterator[Any]:
        yield object()

    with Harness(registry) as harness, pytest.raises(Faulted, match="ValidationError"):
        harness.call("count")


def test_a_generator_is_closed_where_it_rests_once_nobody_wants_the_rest(
    registry: Registry,
) -> None:
    ended: list[str] = []

    @register("count")
    def count(ctx: Context, payload: dict[str, Any]) -> Iterator[int]:
        try:
            yield 1
            while not ctx.cancelled:
                pass
            yield 2
        finally:
            ended.append("closed")

    @register("count_async")
    async def count_async(ctx: Context, payload: dict[str, Any]) -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with Harness(registry) as harness:
        for name, kind in [("count", "Cancelled"), ("count_async", "CancelledError")]:
            call = harness.start(name)
            while not call.chunks:
                pass
            call.cancel()
            with pytest.raises(Faulted) as caught:
                call.result()
            assert caught.value.error_type == kind
            assert call.chunks == [1]
    assert ended == ["closed", "cancelled"]


def test_for_a_server_that_takes_no_chunks_they_are_one_list(registry: Registry) -> None:
    @register("count")
    def count(ctx: Context, payload: dict[str, Any]) -> Iterator[int]:
        yield from range(3)

    with Harness(registry) as harness:
        call = harness.start("count", {"late": True})
        assert call.result() == [0, 1, 2]
        call = harness._begin("count", None, None)
        call.invocation.takes_chunks = False
        assert call.run().result() == [0, 1, 2]
