"""`ctx.records` and its siblings: the server's data without third-party packages."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tinybase import _json
from tinybase._registry import Registry
from tinybase.errors import CallFailed, HostError, HostNotFound, NotFound
from tinybase.functions import Context, register
from tinybase.testing import FakeServer, Harness
from tinybase.testing._invocation import FakeInvocation


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer({"limit": 5})
    for mass in (3750, 5000, 4200):
        server.add_record("penguins", {"mass": mass})
        server.clock.advance(timedelta(seconds=1))
    server.add_record("orders", {"mass": 9000})
    return server


@pytest.fixture
def ctx(server: FakeServer) -> Context:
    return Context(FakeInvocation(server, "function.invoke", "f"))


def masses(found: list[Any]) -> list[int]:
    return [it.data["mass"] for it in found]


def test_records_are_found_filtered_ordered_and_limited(ctx: Context) -> None:
    assert masses(ctx.records.find()) == [3750, 5000, 4200, 9000]
    assert masses(ctx.records.find("penguins")) == [3750, 5000, 4200]
    heavy = ctx.records.find("penguins", where=[("data.mass", ">", 4000)], order_by="-data.mass")
    assert masses(heavy) == [5000, 4200]
    assert masses(ctx.records.find(order_by=["data.mass"], limit=1)) == [3750]
    assert masses(ctx.records.find(where=[("data.mass", "in", [3750, 1])])) == [3750]
    with pytest.raises(ValueError, match="'=' is not a comparison"):
        ctx.records.find(where=[("data.mass", "=", 1)])


def test_records_are_read_page_by_page(ctx: Context, server: FakeServer) -> None:
    for number in range(2500):
        server.add_record("many", {"mass": number})
    assert masses(ctx.records.find("many")) == [*range(2500)]
    assert masses(ctx.records.find("many", limit=1500)) == [*range(1500)]


def test_records_are_created_changed_and_deleted(ctx: Context, server: FakeServer) -> None:
    record = ctx.records.create("orders", {"id": uuid4(), "n": 1})
    changed = ctx.records.update(record.id, {"n": 2}, collection="orders")
    assert (changed.id, changed.data["n"]) == (record.id, 2)
    assert ctx.records.get(str(record.id)) == changed
    ctx.records.delete(record.id)
    with pytest.raises(HostNotFound) as missing:
        ctx.records.get(record.id)
    assert isinstance(missing.value, NotFound)
    assert isinstance(missing.value, HostError)
    with pytest.raises(HostNotFound, match="no collection 'nothing'"):
        ctx.records.create("nothing", {})


def test_users_collections_values_and_config_are_there(ctx: Context, server: FakeServer) -> None:
    ada = server.add_user("ada@example.org")
    assert ctx.users.get(ada.id) == ada
    assert [it.name for it in ctx.collections.all()] == ["orders", "penguins"]
    assert ctx.collections.get("orders").schema == {"fields": []}
    with pytest.raises(HostNotFound):
        ctx.collections.get("nothing")
    ctx.values.set("k", b"v")
    assert (ctx.values.get("k"), ctx.values.get("other")) == (b"v", None)
    ctx.values.delete("k")
    assert ctx.values.get("k") is None
    assert ctx.config == {"limit": 5}


def test_functions_call_functions(registry: Registry) -> None:
    register("double")(lambda ctx, payload: payload["n"] * 2)
    register("twice")(lambda ctx, payload: ctx.call("double", {"n": ctx.call("double", payload)}))
    with Harness(registry) as harness:
        assert harness.call("twice", {"n": 3}) == 12


def test_a_failed_call_is_an_exception_with_its_type(ctx: Context, server: FakeServer) -> None:
    server.call_function = lambda *_: ("id-1", "failed", "", "no such disk", "OSError", 3)  # type: ignore[method-assign]
    with pytest.raises(CallFailed, match="no such disk") as failure:
        ctx.call("copy")
    assert (failure.value.error_type, failure.value.call_id) == ("OSError", "id-1")


def test_acting_as_the_extension_carries_no_invocation(ctx: Context, server: FakeServer) -> None:
    scopes: list[object] = []
    get_user = server.get_user
    server.get_user = lambda scope, id: (scopes.append(scope), get_user(scope, id))[1]  # type: ignore[method-assign, func-returns-value]
    ada = server.add_user("ada@example.org")
    ctx.users.get(ada.id)
    ctx.as_extension().users.get(ada.id)
    assert scopes == [ctx._invocation, None]


def test_ids_and_json_are_read_fast_and_right() -> None:
    from uuid import UUID

    for _ in range(100):
        id = uuid4()
        read = _json.parse_uuid(str(id))
        assert (read, hash(read), repr(read), read.is_safe) == (id, hash(id), repr(id), id.is_safe)
    assert _json.parse_uuid is _json._parse_uuid_fast
    assert _json._parse_uuid_slowly(str(id)) == UUID(str(id))
    assert _json.parse_optional_uuid("") is None
    assert _json.loads(' {"a": [1, 1.0, null]}\n') == {"a": [1, 1.0, None]}
    for wrong in ("", "{", "{} {}", "nul"):
        with pytest.raises(ValueError, match=r"Expecting|Extra data"):
            _json.loads(wrong)
    assert _json.parse_time("2026-01-02T03:04:05.123456789Z").microsecond == 123456
