"""The harness plays the server's part in the order in which the server does."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tinybase._registry import Registry
from tinybase.errors import Reject, Retryable
from tinybase.extensions import (
    BeforeRecordCreateEvent,
    BeforeUserRegisterEvent,
    FunctionCallEvent,
    RecordCreateEvent,
    RecordUpdateEvent,
    before_function_call,
    before_record_create,
    before_record_update,
    before_user_register,
    on_function_call,
    on_record_create,
    on_record_delete,
    on_record_update,
    on_shutdown,
    on_startup,
    on_user_register,
)
from tinybase.functions import Context, current_context, register
from tinybase.testing import Faulted, Harness, Rejected


def test_p09_p10_startup_and_shutdown_run_once_each(registry: Registry) -> None:
    seen: list[str] = []
    on_startup(lambda: seen.append("up"))
    on_shutdown(lambda: seen.append("down"))
    with Harness(registry) as harness:
        assert seen == ["up"]
        harness.shutdown()
    assert seen == ["up", "down"]


def test_before_hooks_patch_in_order_of_priority(registry: Registry) -> None:
    @before_record_create("orders", priority=2)
    def second(event: BeforeRecordCreateEvent) -> dict[str, Any]:
        return {"trail": event.data["trail"] + ["second"], "secret": None}

    @before_record_create(priority=1)
    async def first(event: BeforeRecordCreateEvent) -> dict[str, Any]:
        return {"trail": ["first"], "deep": {"b": None, "c": 3}}

    with Harness(registry) as harness:
        record = harness.create_record("orders", {"secret": 1, "deep": {"a": 1, "b": 2}})
    assert record.data == {"trail": ["first", "second"], "deep": {"a": 1, "c": 3}}


def test_a_records_hooks_know_its_version_and_their_time(registry: Registry) -> None:
    known: list[tuple[int, datetime]] = []

    def note(event: object) -> None:
        context = current_context()
        known.append((context.record_version, context.occurred_at))

    for decorator in (on_record_create, on_record_update, on_record_delete):
        decorator(note)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    with Harness(registry) as harness:
        now = harness.server.clock.now
        record = harness.create_record("orders", {"n": 1})
        assert harness.update_record(record.id, {"n": 2}).version == 2
        harness.delete_record(record.id)
        again = RecordCreateEvent("orders", record.id, {"n": 1}, None)
        harness.fire(again, version=1, occurred_at=long_ago)
    assert known == [(1, now), (2, now), (3, now), (1, long_ago)]


def test_a_before_hook_refuses_and_nothing_is_stored(registry: Registry) -> None:
    @before_record_create
    def refuse(event: BeforeRecordCreateEvent) -> None:
        raise Reject("sold out", code="out_of_stock", status=409)

    @before_record_update
    def wrong(event: RecordUpdateEvent) -> Any:  # noqa: ANN401 - the mistake
        return [event.new_data["n"] - event.old_data["n"]]

    with Harness(registry) as harness:
        with pytest.raises(Rejected, match="409 out_of_stock: sold out"):
            harness.create_record("orders", {})
        assert harness.server.records == {}
        record = harness.server.add_record("orders", {"n": 1})
        with pytest.raises(Faulted, match="returns a dict of changes or nothing, not a list"):
            harness.update_record(record.id, {"n": 3})
        assert harness.server.records[record.id].data == {"n": 1}


def test_p25_before_function_call_patches_and_on_function_call_observes(
    registry: Registry,
) -> None:
    seen: list[object] = []

    @before_function_call("pay")
    def cap(event: FunctionCallEvent) -> dict[str, Any]:
        return {"amount": min(event.payload["amount"], 10)}

    @on_function_call("pay")
    def observe(event: FunctionCallEvent) -> dict[str, Any]:
        seen.append(event.payload)
        event.payload["amount"] = 99
        raise ValueError("observers change nothing")

    register("pay")(lambda ctx, payload: payload["amount"])
    with Harness(registry) as harness:
        assert harness.call("pay", {"amount": 50}) == 10
        assert [it.error_type for it in harness.failures] == ["ValueError"]


def test_p16_the_user_is_there_when_the_hook_runs(registry: Registry) -> None:
    seen: list[object] = []
    before_user_register(lambda event: seen.append(type(event) is BeforeUserRegisterEvent))
    on_user_register(
        lambda event: seen.append(current_context().users.get(event.user_id).email == event.email)
    )
    with Harness(registry) as harness:
        harness.register_user("ada@example.org")
        assert harness.failures == []
    assert seen == [True, True]


def test_a_refusal_after_the_fact_is_a_failure_to_be_tried_again(registry: Registry) -> None:
    @on_record_create
    def late(event: RecordCreateEvent) -> None:
        context = current_context()
        if context.attempt < 3:
            raise Retryable("busy", after=1.5)
        raise Reject("too late")

    with Harness(registry) as harness:
        event = RecordCreateEvent("orders", harness.server.add_record("o", {}).id, {}, None)
        harness.fire(event)
        harness.fire(event, attempt=3)
        first, second = harness.failures
        assert (first.error_type, first.retry_after_ms) == ("Retryable", 1500)
        assert (second.error_type, second.message) == ("Reject", "too late")


def test_an_extension_s_own_writes_reach_only_reentrant_hooks(registry: Registry) -> None:
    seen: list[str] = []

    @on_record_create("orders")
    def copy(event: RecordCreateEvent) -> None:
        seen.append("copy")
        current_context().records.create("orders", event.data)

    @on_record_create("orders", reentrant=True)
    def count(event: RecordCreateEvent) -> None:
        seen.append("count")

    with Harness(registry) as harness:
        harness.create_record("orders", {"n": 1})
        assert harness.failures == []
        assert len(harness.server.records) == 2
    assert seen == ["copy", "count", "count"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_shutdown_cancels_what_runs(registry: Registry, asynchronous: bool) -> None:
    begun = threading.Event()
    if asynchronous:

        @register("wait")
        async def wait(ctx: Context, payload: object) -> None:
            import asyncio

            begun.set()
            await asyncio.Event().wait()
    else:

        @register("wait")
        def spin(ctx: Context, payload: object) -> str:
            begun.set()
            while not ctx.cancelled:
                pass
            return "stopped"

    with Harness(registry) as harness:
        call = harness.start("wait")
        assert begun.wait(10)
        assert not call.over
        harness.shutdown()
        if asynchronous:
            with pytest.raises(Faulted, match="CancelledError: the handler was cancelled"):
                call.result()
        else:
            assert call.result() == "stopped"


def test_a_def_handler_may_return_a_coroutine(registry: Registry) -> None:
    async def answer() -> int:
        return 42

    register("wrapped")(lambda ctx, payload: answer())
    with Harness(registry) as harness:
        assert harness.call("wrapped") == 42


def test_there_is_no_context_outside_of_a_handler() -> None:
    with pytest.raises(LookupError, match="no handler runs here"):
        current_context()


def test_an_unknown_function_is_named_with_those_there_are(registry: Registry) -> None:
    register("greet")(lambda ctx, payload: None)
    with Harness(registry) as harness, pytest.raises(LookupError, match=r"'great'.*greet"):
        harness.call("great")


def test_a_module_or_a_file_is_an_extension_too(
    extension: Callable[..., Harness],
    tmp_path: Any,  # noqa: ANN401 - a Path
) -> None:
    import sys

    code = "from tinybase.functions import register\nregister('f')(lambda ctx, payload: 1)\n"
    with extension(code) as harness:
        module = sys.modules["tinybase_extension_an_extension"]
        assert harness.call("f") == 1
    with Harness(module) as harness:
        assert harness.call("f") == 1
    (tmp_path / "single.py").write_text(code)
    with Harness(tmp_path / "single.py") as harness:
        assert harness.call("f") == 1
    assert "tinybase_extension_single" not in sys.modules


def test_logs_carry_their_invocation_and_facts(registry: Registry) -> None:
    import logging

    @register("log")
    def log(ctx: Context, payload: object) -> None:
        logging.getLogger("shop").info("paid", extra={"order": 7})

    with Harness(registry) as harness:
        logging.getLogger("shop").info("outside")
        harness.call("log")
        inside = [it for it in harness.server.logs if it.logger == "shop"]
        assert [it.message for it in inside] == ["outside", "paid"]
        assert [bool(it.invocation_id) for it in inside] == [False, True]
        assert inside[1].facts == '{"order": 7}'
