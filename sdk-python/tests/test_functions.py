"""`register`, and a function's way from payload to result."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tinybase._registry import Registry
from tinybase.errors import RegistrationError
from tinybase.functions import Context, register
from tinybase.testing import Faulted, Harness, Rejected
from tinybase.utils import AuthLevel, utcnow


class Order(BaseModel):
    amount: int
    tags: list[str] = []


class Receipt(BaseModel):
    total: float


def greet(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
    """Says hello.

    At length.
    """
    return {"message": f"Hello {payload['name']}"}


def test_p36_register_keeps_what_is_listed(registry: Registry) -> None:
    assert register("greet", auth=AuthLevel.PUBLIC, tags=["a", "b"])(greet) is greet
    entry = registry.functions["greet"]
    assert (entry.description, entry.auth, entry.tags) == ("Says hello.", "public", ["a", "b"])
    register(name="other", description="d", timeout=timedelta(minutes=2))(greet)
    other = registry.functions["other"]
    assert (other.description, other.auth, other.timeout_ms) == ("d", "auth", 120_000)


def test_p37_auth_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="auth is one of public, auth, admin, not 'root'"):
        register("f", auth="root")


def test_register_refuses_what_can_not_be_meant(registry: Registry) -> None:
    untyped: Any = register
    with pytest.raises(TypeError, match="needs the function's name"):
        untyped(greet)
    with pytest.raises(ValueError, match="'a b' is not a function name"):
        register("a b")
    with pytest.raises(TypeError, match="did you mean 'description'"):
        untyped("f", descripton="x")
    with pytest.raises(TypeError, match="tags is a list of words"):
        register("f", tags="one")
    with pytest.raises(TypeError, match="a model is a pydantic model's class"):
        register("f", input_model=int)(greet)
    with pytest.raises(TypeError, match=r"it has to take \(ctx, payload\)"):
        register("f")(lambda ctx: None)
    register("taken")(greet)
    with pytest.raises(RegistrationError, match="the function name 'taken' is taken"):
        register("taken")(greet)


def test_p39_models_make_schemas_and_results() -> None:
    from tinybase._json import loads
    from tinybase._models import schema_of

    assert loads(schema_of(Order, output=False))["required"] == ["amount"]
    assert loads(schema_of(Receipt, output=True))["properties"]["total"]["type"] == "number"
    assert schema_of(None, output=False) == ""
    assert schema_of({"type": "object"}, output=False) == '{"type":"object"}'


def test_an_annotated_model_counts_as_given(registry: Registry) -> None:
    @register("pay")
    def pay(ctx: Context, payload: Order) -> Receipt:
        return Receipt(total=payload.amount * 1.5)

    assert registry.functions["pay"].input_model is Order
    assert registry.functions["pay"].output_model is Receipt
    with Harness(registry) as harness:
        assert harness.call("pay", {"amount": 2}) == {"total": 3.0}


def test_a_result_that_is_not_the_output_model_is_a_fault(registry: Registry) -> None:
    register("ok", output_model=Receipt)(lambda ctx, payload: {"total": 1})
    register("bad", output_model=Receipt)(lambda ctx, payload: {"sum": 1})
    with Harness(registry) as harness:
        assert harness.call("ok") == {"total": 1.0}
        with pytest.raises(Faulted, match="ValidationError"):
            harness.call("bad")


def test_numbers_keep_whether_they_are_whole(registry: Registry) -> None:
    register("echo")(lambda ctx, payload: payload)
    sent = {"int": 9007199254740993, "float": 1.0, "small": 0.1, "none": None}
    with Harness(registry) as harness:
        got = harness.call("echo", sent)
        assert got == sent
        assert [type(it) for it in got.values()] == [int, float, float, type(None)]


def test_results_in_python_s_own_types_become_json(registry: Registry) -> None:
    from datetime import UTC, datetime
    from decimal import Decimal
    from uuid import UUID

    id = UUID("0193d2a4-7c1e-7f3a-9b1c-2f6a5e4d3c2b")
    when = datetime(2026, 1, 2, tzinfo=UTC)
    value = {"id": id, "when": when, "price": Decimal("1.50"), "raw": b"x", "set": {1}}
    register("plain")(lambda ctx, payload: value)
    register("nan")(lambda ctx, payload: float("nan"))
    register("object")(lambda ctx, payload: object())
    with Harness(registry) as harness:
        assert harness.call("plain") == {
            "id": str(id),
            "when": "2026-01-02T00:00:00+00:00",
            "price": "1.50",
            "raw": "x",
            "set": [1],
        }
        with pytest.raises(Faulted, match="Out of range float values"):
            harness.call("nan")
        with pytest.raises(Faulted, match="a object has no JSON form"):
            harness.call("object")


def test_the_context_has_the_documented_fields(registry: Registry) -> None:
    seen: list[Any] = []

    @register("look")
    def look(ctx: Context, payload: object) -> None:
        seen.extend((ctx.function_name, ctx.trigger_type, ctx.trigger_id, ctx.user_id))
        seen.extend((ctx.is_admin, ctx.now, ctx.request, ctx.cancelled, ctx.attempt))
        seen.extend((ctx.deadline - ctx.now, bool(ctx.event_id), str(ctx.request_id)))

    with Harness(registry) as harness:
        user = harness.server.add_user("a@b.c", is_admin=True)
        harness.call("look", user=user)
        now = harness.server.clock.now
        call_id = seen.pop()
        assert seen == [
            *("look", "manual", None, user.id),
            *(True, now, None, False, 1),
            *(timedelta(seconds=30), True),
        ]
        assert len(call_id) == 36


def test_a_plain_function_works_without_models(
    extension: Callable[..., Harness],
) -> None:
    code = "from tinybase.functions import register\n" + (
        '@register("add", input_model={"type": "object"})\n'
        "def add(ctx, payload: dict) -> dict:\n"
        '    return {"sum": payload["a"] + payload["b"]}\n'
    )
    with extension(code) as harness:
        assert harness.call("add", {"a": 1, "b": 2}) == {"sum": 3}


def test_utcnow_is_aware() -> None:
    assert utcnow().utcoffset() == timedelta(0)


def test_a_rejection_reaches_the_caller_with_its_words(registry: Registry) -> None:
    from tinybase.errors import Forbidden, NotFound, Reject, ValidationError

    errors = [
        (Reject("no", code="out_of_stock", status=409), (409, "out_of_stock", ())),
        (ValidationError("bad", violations={"a.b": "x"}), (422, "invalid", (("/a/b", "x"),))),
        (NotFound("gone"), (404, "not_found", ())),
        (Forbidden("you may not"), (403, "forbidden", ())),
    ]

    @register("refuse")
    def refuse(ctx: Context, payload: dict[str, int]) -> None:
        raise errors[payload["n"]][0]

    with Harness(registry) as harness:
        for number, (error, expected) in enumerate(errors):
            with pytest.raises(Rejected) as refusal:
                harness.call("refuse", {"n": number})
            got = refusal.value
            assert (got.status, got.code, got.violations) == expected
            assert got.message == str(error)
    with pytest.raises(ValueError, match="400 to 499"):
        Reject("no", status=500)
