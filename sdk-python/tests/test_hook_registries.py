"""`tinybase.extensions.hooks`: the names that TinyBase's own module had."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tinybase._registry import Registry
from tinybase.extensions import hooks


def test_a_registry_of_its_own_registers_filters_and_clears() -> None:
    registry = hooks.HookRegistry()
    functions = [lambda event: None, lambda event: None, lambda event: None]
    registry.register(functions[0])
    registry.register(functions[1], "orders")
    registry.register(functions[2], "*")
    assert registry.get_hooks("orders") == functions
    assert registry.get_hooks("files") == [functions[0], functions[2]]
    assert [name for _, name in registry.hooks] == [None, "orders", None]
    registry.clear()
    assert registry.hooks == []


def test_the_module_s_registries_show_what_decorators_registered(registry: Registry) -> None:
    function = hooks.on_record_create("orders")(lambda event: None)
    started = hooks.on_startup(lambda: None)
    module: Any = hooks
    assert hooks._record_create_hooks.hooks == [(function, "orders")]
    assert module._startup_hooks == [started]
    hooks.clear_hooks()
    assert module._startup_hooks == []
    with pytest.raises(AttributeError):
        _ = module._other_hooks


def test_hooks_run_in_order_and_one_s_failure_is_not_the_next_one_s(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    @hooks.on_record_create("orders")
    def fails(event: hooks.RecordCreateEvent) -> None:
        raise KeyError(event.collection)

    @hooks.on_record_create
    async def runs(event: hooks.RecordCreateEvent) -> None:
        seen.append(event.collection)

    event = hooks.RecordCreateEvent("orders", uuid4(), {}, None)
    asyncio.run(hooks.run_record_create_hooks(event))
    assert seen == ["orders"]
    assert "fails failed" in caplog.text


def test_each_event_has_its_runner(registry: Registry) -> None:
    seen: list[str] = []
    id = uuid4()
    hooks.on_startup(lambda: seen.append("startup"))
    hooks.on_shutdown(lambda: seen.append("shutdown"))
    decorators: list[Any] = [
        *(hooks.on_user_login, hooks.on_user_register, hooks.on_record_update),
        *(hooks.on_record_delete, hooks.on_function_call, hooks.on_function_complete),
    ]
    for decorate in decorators:
        decorate(lambda event: seen.append(type(event).__name__))

    async def run() -> None:
        await hooks.run_startup_hooks()
        await hooks.run_user_login_hooks(hooks.UserLoginEvent(id, "", False))
        await hooks.run_user_register_hooks(hooks.UserRegisterEvent(id, ""))
        await hooks.run_record_update_hooks(hooks.RecordUpdateEvent("c", id, {}, {}, None))
        await hooks.run_record_delete_hooks(hooks.RecordDeleteEvent("c", id, {}, None))
        await hooks.run_function_call_hooks(hooks.FunctionCallEvent("f", None, {}))
        complete = hooks.FunctionCompleteEvent("f", None, "succeeded", 1)
        await hooks.run_function_complete_hooks(complete)
        await hooks.run_shutdown_hooks()

    asyncio.run(run())
    assert seen == [
        *("startup", "UserLoginEvent", "UserRegisterEvent", "RecordUpdateEvent"),
        *("RecordDeleteEvent", "FunctionCallEvent", "FunctionCompleteEvent", "shutdown"),
    ]
