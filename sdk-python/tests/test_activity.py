"""Notes for the activity log."""

from typing import Any
from uuid import uuid4

import pytest

from tinybase._registry import Registry
from tinybase.errors import HostError
from tinybase.extensions import create_activity_logger, log_extension_activity
from tinybase.functions import Context, register
from tinybase.testing import Harness


def test_act_3_a_note_has_what_the_documented_call_says(registry: Registry) -> None:
    user = uuid4()
    log = create_activity_logger("shop")

    @register("ship")
    def ship(ctx: Context, payload: dict[str, Any]) -> None:
        log_extension_activity("ready")
        log("order.shipped", "order", "o1", user, {"weight": 2}, "192.0.2.7")
        log(action="done", meta_data={}, user_id=str(user))

    with Harness(registry) as harness:
        harness.call("ship")
        assert harness.server.activities == [
            ("ready", "", "", "", "", ""),
            ("order.shipped", "order", "o1", str(user), '{"weight":2}', "192.0.2.7"),
            ("done", "", "", str(user), "{}", ""),
        ]


def test_act_3_what_can_not_be_noted_is_logged_and_never_raised(registry: Registry) -> None:
    @register("ship")
    def ship(ctx: Context, payload: dict[str, Any]) -> str:
        log_extension_activity("a", meta_data={"b": object()})
        log_extension_activity("refused")
        return "shipped"

    with Harness(registry) as harness:

        def refuse(*_: object) -> None:
            raise HostError("no", kind="PermissionDenied")

        harness.server.write_activity = refuse  # type: ignore[method-assign,assignment]
        assert harness.call("ship") == "shipped"
        lines = [line.message for line in harness.server.logs]
        assert len(lines) == 2
        assert "the activity 'refused' was not noted" in lines[1]
    log_extension_activity("nowhere")


def test_a_logger_is_for_an_extension() -> None:
    untyped: Any = create_activity_logger
    with pytest.raises(TypeError, match="takes the extension's name"):
        untyped(None)
