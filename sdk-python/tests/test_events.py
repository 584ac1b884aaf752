"""The event classes, field by field as they are documented."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any
from uuid import UUID, uuid4

import pytest

from tinybase import extensions
from tinybase.extensions import FunctionCompleteEvent, RecordCreateEvent, UserLoginEvent

MAYBE_ID = UUID | None
DOCUMENTED: dict[str, dict[str, Any]] = {
    "UserLoginEvent": {"user_id": UUID, "email": str, "is_admin": bool},
    "UserRegisterEvent": {"user_id": UUID, "email": str},
    "RecordCreateEvent": {
        "collection": str,
        "record_id": UUID,
        "data": dict[str, Any],
        "owner_id": MAYBE_ID,
    },
    "RecordUpdateEvent": {
        "collection": str,
        "record_id": UUID,
        "old_data": dict[str, Any],
        "new_data": dict[str, Any],
        "owner_id": MAYBE_ID,
    },
    "RecordDeleteEvent": {
        "collection": str,
        "record_id": UUID,
        "data": dict[str, Any],
        "owner_id": MAYBE_ID,
    },
    "FunctionCallEvent": {"function_name": str, "user_id": MAYBE_ID, "payload": dict[str, Any]},
    "FunctionCompleteEvent": {
        "function_name": str,
        "user_id": MAYBE_ID,
        "status": str,
        "duration_ms": int,
        "error_message": str | None,
        "error_type": str | None,
    },
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_p17_p24_p29_an_event_has_exactly_the_documented_fields_in_order(name: str) -> None:
    fields = dataclasses.fields(getattr(extensions, name))
    assert {it.name: it.type for it in fields} == DOCUMENTED[name]
    assert [it.name for it in fields] == [*DOCUMENTED[name]]


def test_p29_an_error_s_fields_default_to_none() -> None:
    event = FunctionCompleteEvent("f", None, "succeeded", 3)
    assert (event.error_message, event.error_type) == (None, None)
    assert event.status == "succeeded"


def test_p14_an_id_s_text_is_the_canonical_uuid() -> None:
    id = uuid4()
    assert str(UserLoginEvent(user_id=id, email="a@b.c", is_admin=False).user_id) == str(id)


def test_events_are_frozen_slotted_dataclasses_in_every_way() -> None:
    event = RecordCreateEvent("orders", uuid4(), {"n": 1}, None)
    assert dataclasses.is_dataclass(event)
    assert not hasattr(event, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.collection = "files"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del event.collection
    assert dataclasses.asdict(event)["data"] == {"n": 1}
    assert dataclasses.replace(event, collection="files").collection == "files"
    assert copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event
    other: object = FunctionCompleteEvent("f", None, "failed", 1)
    assert event != other
    assert repr(event).startswith("RecordCreateEvent(collection='orders', record_id=UUID(")


def test_events_take_their_fields_by_position_and_by_name() -> None:
    assert str(inspect.signature(RecordCreateEvent)) == "(collection, record_id, data, owner_id)"
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        RecordCreateEvent("orders", uuid4(), {})  # type: ignore[call-arg]
    match RecordCreateEvent("orders", uuid4(), {}, None):
        case RecordCreateEvent("orders", _, data):
            assert data == {}
