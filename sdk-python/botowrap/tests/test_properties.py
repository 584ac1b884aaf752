"""Every value that DynamoDB can hold reads back as it was written."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botowrap.errors import SerializationError
from botowrap.extensions.dynamodb import Deserializer, Serializer
from tests.conftest import Backend

serializer = Serializer(refuse_wire_form=False)
deserializer = Deserializer()


def _in_bounds(number: Decimal) -> bool:
    return not number or -130 <= number.adjusted() <= 125


digits = st.integers(-(10**38) + 1, 10**38 - 1)
decimals = st.builds(lambda n, e: Decimal(n).scaleb(e), digits, st.integers(-167, 125)).filter(
    _in_bounds
)
numbers = digits | decimals
text = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
scalars = st.none() | st.booleans() | numbers | text | st.binary(max_size=20)
sets = (
    st.sets(text, min_size=1, max_size=4)
    | st.sets(numbers, min_size=1, max_size=4)
    | st.sets(st.binary(max_size=8), min_size=1, max_size=4)
)
values = st.recursive(
    scalars | sets,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: _in_bounds(Decimal(repr(number)))
)
quick = settings(database=None, deadline=None, max_examples=200)


@quick
@given(values)
def test_a_round_trip_changes_nothing(value: Any) -> None:
    assert deserializer.deserialize(serializer.serialize(value)) == value


@quick
@given(values)
def test_boto3s_own_types_agree(value: Any) -> None:
    theirs: Any = TypeSerializer().serialize(value)
    ours: Any = serializer.serialize(value)
    assert TypeDeserializer().deserialize(ours) == value
    assert deserializer.deserialize(theirs) == value


@quick
@given(floats)
def test_floats_keep_every_bit(number: float) -> None:
    wire = serializer.serialize(number)
    assert float(deserializer.deserialize(wire)) == number
    assert float(Deserializer(numbers="native").deserialize(wire)) == number


@quick
@given(numbers)
def test_native_numbers_lose_nothing(number: Any) -> None:
    native = Deserializer(numbers="native").deserialize(serializer.serialize(number))
    exact = Decimal(repr(native)) if isinstance(native, float) else native
    assert exact == number


@quick
@given(st.decimals() | st.integers() | st.floats())
def test_a_number_is_stored_exactly_or_refused(number: Any) -> None:
    try:
        wire = serializer.serialize(number)
    except SerializationError:
        return
    assert deserializer.deserialize(wire) == (
        Decimal(repr(number)) if isinstance(number, float) else number
    )


@settings(quick, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_the_servers_agree(backend: Backend, shared: tuple[Any, str], value: Any) -> None:
    client, table = shared
    client.put_item(TableName=table, Item={"id": "a", "x": value})
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"] == {"id": "a", "x": value}


@pytest.fixture
def shared(backend: Backend, table: str) -> tuple[Any, str]:
    return backend.client(add_timestamps=False, refuse_wire_form=False), table


def test_the_wire_is_json_but_for_binary() -> None:
    wire = serializer.serialize({"b": b"\xff", "s": {1, Decimal("1.5")}})
    json.dumps(wire, default=lambda blob: base64.b64encode(blob).decode())


def test_equal_numbers_of_a_set_are_one() -> None:
    assert serializer.serialize({0.5, Decimal("0.50")}) == {"NS": ["0.5"]}
    assert len(serializer.serialize({0.1, Decimal("0.1")})["NS"]) == 1
