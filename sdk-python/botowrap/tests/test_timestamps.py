"""T1 to T10: `CreatedAt` and `UpdatedAt` in everything that writes an item."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from botowrap.extensions.dynamodb._update_expression import add_assignments, written_attributes
from tests.conftest import Backend


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(backend: Backend, clock: Clock) -> Any:
    return backend.client(clock=clock)


def item(client: Any, table: str, key: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = client.get_item(TableName=table, Key={"id": key})["Item"]
    return found


def test_t1_put_item_adds_both_in_epoch_seconds(backend: Backend, table: str) -> None:
    client = backend.client()
    before = int(time.time())
    client.put_item(TableName=table, Item={"id": "a"})
    stored = item(client, table)
    assert stored["CreatedAt"] == stored["UpdatedAt"]
    assert before <= stored["CreatedAt"] <= int(time.time())


def test_t2_update_item_keeps_created_and_sets_updated(
    client: Any, clock: Clock, table: str
) -> None:
    client.put_item(TableName=table, Item={"id": "a"})
    clock.now = 2000
    client.update_item(
        TableName=table,
        Key={"id": "a"},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": 1},
    )
    assert item(client, table) == {"id": "a", "n": 1, "CreatedAt": 1000, "UpdatedAt": 2000}


@pytest.mark.parametrize(
    ("update", "changed"),
    [
        (
            {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": 2}},
            {"n": 2},
        ),
        (
            {"UpdateExpression": "set n = n + :n", "ExpressionAttributeValues": {":n": 2}},
            {"n": 3},
        ),
        ({"UpdateExpression": "REMOVE n"}, {"n": None}),
        (
            {"UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": 2}},
            {"n": 3},
        ),
        (
            {"UpdateExpression": "DELETE tags :t", "ExpressionAttributeValues": {":t": {"x"}}},
            {"tags": {"y"}},
        ),
        ({}, {}),
        (
            {
                "UpdateExpression": "REMOVE n SET #set = if_not_exists(#set, :v), tags = :t",
                "ExpressionAttributeNames": {"#set": "set"},
                "ExpressionAttributeValues": {":v": 1, ":t": {"z"}},
            },
            {"n": None, "set": 1, "tags": {"z"}},
        ),
    ],
)
def test_t3_every_shape_of_update_expression_is_stamped(
    client: Any, clock: Clock, table: str, update: dict[str, Any], changed: dict[str, Any]
) -> None:
    client.put_item(TableName=table, Item={"id": "a", "n": 1, "tags": {"x", "y"}})
    clock.now = 2000
    client.update_item(TableName=table, Key={"id": "a"}, **update)
    wanted = {"id": "a", "n": 1, "tags": {"x", "y"}, "CreatedAt": 1000, "UpdatedAt": 2000}
    wanted |= changed
    assert item(client, table) == {k: v for k, v in wanted.items() if v is not None}


@pytest.mark.parametrize(
    "update",
    [
        {"UpdateExpression": "SET UpdatedAt = :u, n = :u"},
        {
            "UpdateExpression": "SET n = :u, #u = :u",
            "ExpressionAttributeNames": {"#u": "UpdatedAt"},
        },
        {"UpdateExpression": "ADD n :u SET UpdatedAt=:u"},
    ],
)
def test_t4_an_expression_that_writes_updated_itself_is_left_alone(
    client: Any, clock: Clock, table: str, update: dict[str, Any]
) -> None:
    client.put_item(TableName=table, Item={"id": "a"})
    values = {":u": 7}
    client.update_item(TableName=table, Key={"id": "a"}, ExpressionAttributeValues=values, **update)
    assert item(client, table) == {"id": "a", "n": 7, "CreatedAt": 1000, "UpdatedAt": 7}


def test_t4_one_that_only_reads_it_is_stamped(client: Any, clock: Clock, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a"})
    clock.now = 2000
    client.update_item(TableName=table, Key={"id": "a"}, UpdateExpression="SET Earlier = UpdatedAt")
    assert item(client, table)["Earlier"] == 1000
    assert item(client, table)["UpdatedAt"] == 2000


def test_t5_an_upsert_through_update_gets_created(client: Any, table: str) -> None:
    client.update_item(TableName=table, Key={"id": "new"}, UpdateExpression="REMOVE n")
    assert item(client, table, "new") == {"id": "new", "CreatedAt": 1000, "UpdatedAt": 1000}


def test_t6_a_given_created_is_kept(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a", "CreatedAt": 5, "UpdatedAt": 6})
    assert item(client, table) == {"id": "a", "CreatedAt": 5, "UpdatedAt": 1000}


def test_t7_batches_and_transactions_are_stamped(client: Any, clock: Clock, table: str) -> None:
    client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": {"id": "a"}}}]})
    client.put_all(TableName=table, Items=[{"id": "b"}])
    put = {"Put": {"TableName": table, "Item": {"id": "c"}}}
    update = {
        "Update": {
            "TableName": table,
            "Key": {"id": "a"},
            "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": 1},
        }
    }
    clock.now = 2000
    client.transact_write_items(TransactItems=[put, update])
    assert item(client, table, "a") == {"id": "a", "n": 1, "CreatedAt": 1000, "UpdatedAt": 2000}
    assert item(client, table, "b") == {"id": "b", "CreatedAt": 1000, "UpdatedAt": 1000}
    assert item(client, table, "c") == {"id": "c", "CreatedAt": 2000, "UpdatedAt": 2000}


def test_t7_legacy_updates_get_updated(client: Any, clock: Clock, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a"})
    clock.now = 2000
    updates = {"n": {"Value": 1, "Action": "PUT"}}
    client.update_item(TableName=table, Key={"id": "a"}, AttributeUpdates=updates)
    assert item(client, table) == {"id": "a", "n": 1, "CreatedAt": 1000, "UpdatedAt": 2000}


def test_t8_the_callers_item_has_no_new_keys(client: Any, table: str) -> None:
    given: dict[str, Any] = {"id": "a"}
    client.put_item(TableName=table, Item=given)
    request = {"PutRequest": {"Item": given}}
    client.batch_write_item(RequestItems={table: [request]})
    client.batch_write_all(RequestItems={table: [request]})
    assert given == {"id": "a"}
    assert request == {"PutRequest": {"Item": {"id": "a"}}}


def test_t9_without_the_option_nothing_is_added(backend: Backend, table: str) -> None:
    client = backend.client(add_timestamps=False)
    client.put_item(TableName=table, Item={"id": "a"})
    client.update_item(TableName=table, Key={"id": "a"}, UpdateExpression="REMOVE n")
    assert item(client, table) == {"id": "a"}


@pytest.mark.parametrize(
    ("form", "stamp"),
    [
        ("seconds", 1000),
        ("milliseconds", 1000500),
        ("iso8601", datetime.fromtimestamp(1000.5, UTC).isoformat(timespec="milliseconds")),
    ],
)
def test_t10_names_format_and_clock_are_configurable(
    backend: Backend, clock: Clock, table: str, form: str, stamp: Any
) -> None:
    clock.now = 1000.5
    client = backend.client(
        clock=clock, created_at="born", updated_at="touched", timestamp_format=form
    )
    client.put_item(TableName=table, Item={"id": "a"})
    client.update_item(TableName=table, Key={"id": "a"}, UpdateExpression="REMOVE n")
    assert item(client, table) == {"id": "a", "born": stamp, "touched": stamp}


def test_t10_a_key_of_that_name_is_no_timestamp(backend: Backend, clock: Clock) -> None:
    client = backend.client(clock=clock)
    table = backend.table(client, "id:S", "CreatedAt:N")
    key = {"id": "a", "CreatedAt": 5}
    client.update_item(TableName=table, Key=key, UpdateExpression="REMOVE n")
    assert client.scan(TableName=table)["Items"] == [{**key, "UpdatedAt": 1000}]


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("SET a.b[1] = :x, c = list_append(if_not_exists(d, :e), f)", {"a", "c"}),
        ("REMOVE a[0], #s.set ADD b :n DELETE c :m", {"a", "set", "b", "c"}),
        ("set a=b-c,d=e", {"a", "d"}),
        ("", set()),
    ],
)
def test_what_an_expression_writes_is_seen(expression: str, written: set[str]) -> None:
    assert written_attributes(expression, {"#s": "set"}) == written


def test_assignments_join_the_clause_that_is_there() -> None:
    assert add_assignments("REMOVE a SET b = :b", ["c = :c"]) == "REMOVE a SET c = :c, b = :b"
    assert add_assignments("REMOVE #SET", ["c = :c"]) == "REMOVE #SET SET c = :c"
    assert add_assignments("", ["c = :c"]) == "SET c = :c"
    assert add_assignments("REMOVE a", []) == "REMOVE a"
