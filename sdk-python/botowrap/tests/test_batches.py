"""Batches of any size, transactions, and writes that hold only if nobody else wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr

from botowrap.deadlines import deadline
from botowrap.errors import IncompleteBatchError, SerializationError
from tests.conftest import Backend
from tests.servers import Answer, FaultServer, fault, fixed

THROTTLE = fault("ProvisionedThroughputExceededException")


def puts(count: int) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": {"id": str(number)}}} for number in range(count)]


def sizes(faults: FaultServer) -> list[int]:
    """How many requests each call had."""
    found = []
    for _, body in faults.requests:
        tables = body["RequestItems"].values()
        found.append(sum(len(t["Keys"]) if isinstance(t, dict) else len(t) for t in tables))
    return found


@pytest.fixture
def client(backend: Backend) -> Any:
    return backend.client(add_timestamps=False)


def test_writes_and_reads_of_any_size(backend: Backend, client: Any, table: str) -> None:
    other = backend.table(client, "id:S")
    written = client.batch_write_all(RequestItems={table: puts(60), other: puts(3)})
    assert written["UnprocessedItems"] == {}
    keys = [{"id": str(number)} for number in range(130)]
    asked = {table: {"Keys": keys, "ProjectionExpression": "id"}, other: {"Keys": keys[:2]}}
    found = client.batch_get_all(RequestItems=asked)
    assert (len(found["Responses"][table]), len(found["Responses"][other])) == (60, 2)
    deletes = [{"DeleteRequest": {"Key": key}} for key in keys[:59]]
    client.batch_write_all(RequestItems={table: deletes})
    assert client.scan_all(TableName=table)["Items"] == [{"id": "59"}]
    assert client.batch_write_all(RequestItems={}) == {"UnprocessedItems": {}}


def test_unprocessed_items_are_sent_again(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    def half(operation: str, body: dict[str, Any]) -> Answer:
        items = body["RequestItems"]["t"]
        return 200, {"UnprocessedItems": {"t": items[1:]} if len(items) > 1 else {}}

    faults.respond = half
    item: dict[str, Any] = {"PutRequest": {"Item": {"id": "x", "b": b"\xff", "s": {1}}}}
    request_items = {"t": [*puts(3), item]}
    client = faulty.client(max_retries=1, clock=lambda: 5.0)
    assert client.batch_write_all(RequestItems=request_items) == {"UnprocessedItems": {}}
    assert sizes(faults) == [4, 3, 2, 1], "progress renews the budget"
    stamps = {"CreatedAt": {"N": "5"}, "UpdatedAt": {"N": "5"}}
    last = faults.requests[-1][1]["RequestItems"]["t"][0]["PutRequest"]["Item"]
    assert last == {"id": {"S": "x"}, "b": {"B": "/w=="}, "s": {"NS": ["1"]}, **stamps}
    assert len(sleeps) == 3


def test_a_budget_that_is_used_up_returns_the_leftovers(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    faults.respond = lambda operation, body: (200, {"UnprocessedItems": body["RequestItems"]})
    client = faulty.client(max_retries=2, add_timestamps=False)
    with pytest.raises(IncompleteBatchError, match=r"30 requests to t .* 3 attempts") as failed:
        client.batch_write_all(RequestItems={"t": puts(30)})
    assert sizes(faults) == [25, 25, 25]
    assert failed.value.unprocessed == {"t": puts(30)}
    faults.respond = fixed((200, {}))
    faults.requests.clear()
    client.batch_write_all(RequestItems=failed.value.unprocessed)
    assert sizes(faults) == [25, 5]


def test_a_throttled_batch_returns_the_leftovers_too(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    client = faulty.client(max_retries=1)
    faults.respond = lambda operation, body: (200, {}) if len(faults.requests) == 1 else THROTTLE
    with pytest.raises(IncompleteBatchError, match="5 requests to t were left") as failed:
        client.batch_write_all(RequestItems={"t": puts(30)})
    assert failed.value.unprocessed == {"t": puts(30)[25:]}
    assert isinstance(failed.value.__cause__, client.exceptions.ClientError)


def test_unprocessed_keys_are_asked_for_again(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    def half(operation: str, body: dict[str, Any]) -> Answer:
        keys = body["RequestItems"]["t"]["Keys"]
        rest = {"t": {"Keys": keys[60:]}} if len(keys) > 60 else {}
        return 200, {"Responses": {"t": keys[:60]}, "UnprocessedKeys": rest}

    faults.respond = half
    keys = [{"id": str(number)} for number in range(150)]
    found = faulty.client().batch_get_all(
        RequestItems={"t": {"Keys": keys, "ConsistentRead": True}}
    )
    assert found["Responses"]["t"] == keys
    assert all(body["RequestItems"]["t"]["ConsistentRead"] for _, body in faults.requests)
    faults.respond = lambda operation, body: (200, {"UnprocessedKeys": body["RequestItems"]})
    with pytest.raises(IncompleteBatchError, match="150 requests") as failed:
        faulty.client().batch_get_all(RequestItems={"t": {"Keys": keys}})
    assert failed.value.unprocessed == {"t": {"Keys": keys}}
    assert failed.value.done == {"t": []}


def test_a_batch_ends_at_the_deadline(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    faults.respond = lambda operation, body: (200, {"UnprocessedItems": body["RequestItems"]})
    client = faulty.client(clock=lambda: 1000.0)
    with (
        deadline(datetime.fromtimestamp(1000, UTC)),
        pytest.raises(IncompleteBatchError, match="deadline"),
    ):
        client.batch_write_all(RequestItems={"t": puts(1)})
    assert (len(faults.requests), sleeps) == (1, [])


def test_nothing_is_written_if_one_item_cannot_be(faulty: Backend, faults: FaultServer) -> None:
    requests = [*puts(40), {"PutRequest": {"Item": {"id": "x", "bad": [set()]}}}]
    message = r"^RequestItems\.t\[40\]\.PutRequest\.Item\.bad\[0\]: the set is empty"
    with pytest.raises(SerializationError, match=message):
        faulty.client().batch_write_all(RequestItems={"t": requests})
    assert faults.requests == []


def test_other_errors_of_a_batch_pass_through(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.batch_write_all(RequestItems={"nowhere": puts(1)})


def test_a_transaction_happens_as_a_whole(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a", "n": 1})
    client.put_item(TableName=table, Item={"id": "gone"})
    with client.transaction(ReturnConsumedCapacity="TOTAL") as actions:
        actions.put(TableName=table, Item={"id": "b"})
        actions.update(
            TableName=table,
            Key={"id": "a"},
            UpdateExpression="ADD n :one",
            ConditionExpression=Attr("n").eq(1),
            ExpressionAttributeValues={":one": 1},
        )
        actions.delete(TableName=table, Key={"id": "gone"})
        actions.check(
            TableName=table, Key={"id": "none"}, ConditionExpression=Attr("id").not_exists()
        )
        assert client.scan_all(TableName=table)["Count"] == 2, "nothing is sent before the end"
    assert actions.response["ResponseMetadata"]["HTTPStatusCode"] == 200
    ids = {item["id"]: item.get("n") for item in client.scan_all(TableName=table)["Items"]}
    assert ids == {"a": 2, "b": None}


def test_a_transaction_happens_not_at_all(client: Any, table: str) -> None:
    def fail_a_check() -> None:
        with client.transaction() as actions:
            actions.put(TableName=table, Item={"id": "a"})
            exists = Attr("id").exists()
            actions.check(TableName=table, Key={"id": "b"}, ConditionExpression=exists)

    def leave_by_an_exception() -> None:
        with client.transaction() as actions:
            actions.put(TableName=table, Item={"id": "a"})
            raise ZeroDivisionError

    with pytest.raises(client.exceptions.TransactionCanceledException):
        fail_a_check()
    with pytest.raises(ZeroDivisionError):
        leave_by_an_exception()
    with client.transaction():
        pass
    assert client.scan_all(TableName=table)["Count"] == 0


def test_a_transaction_has_at_most_a_hundred_actions(client: Any) -> None:
    actions = client.transaction()
    for number in range(100):
        actions.put(TableName="t", Item={"id": str(number)})
    with pytest.raises(ValueError, match="at most 100"):
        actions.delete(TableName="t", Key={"id": "a"})


def test_put_if_absent(client: Any, table: str) -> None:
    put = {"TableName": table, "KeyAttribute": "id"}
    assert client.put_if_absent(Item={"id": "a", "n": 1}, **put) is True
    assert client.put_if_absent(Item={"id": "a", "n": 2}, **put) is False
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"]["n"] == 1
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.put_if_absent(TableName="nowhere", Item={"id": "a"}, KeyAttribute="id")


def test_put_if_newer_keeps_the_highest_version(client: Any, table: str) -> None:
    for version, wins in ((2, True), (1, False), (2, False), (3, True)):
        item = {"id": "a", "Version": version}
        assert client.put_if_newer(TableName=table, Item=item) is wins
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"]["Version"] == 3
    with pytest.raises(ValueError, match="no 'v'"):
        client.put_if_newer(TableName=table, Item={"id": "a"}, VersionAttribute="v")


def test_only_one_of_two_that_read_the_same_version_writes(client: Any, table: str) -> None:
    first = client.put_versioned(TableName=table, Item={"id": "a"})
    assert first == {"id": "a", "Version": 1}
    read = client.get_item(TableName=table, Key={"id": "a"})["Item"]
    client.put_versioned(TableName=table, Item={**read, "by": "one"})
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as failed:
        client.put_versioned(TableName=table, Item={**read, "by": "two"})
    assert failed.value.response["Item"] == {"id": "a", "Version": 2, "by": "one"}
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_versioned(TableName=table, Item={"id": "a"})


@pytest.mark.parametrize("condition", ["n = :one", Attr("n").eq(1)])
def test_a_versioned_update_joins_the_callers_condition(
    client: Any, table: str, condition: Any
) -> None:
    client.put_versioned(TableName=table, Item={"id": "a", "n": 1})
    update = {
        "TableName": table,
        "Key": {"id": "a"},
        "UpdateExpression": "SET n = n + :one",
        "ExpressionAttributeValues": {":one": 1},
        "ConditionExpression": condition,
        "ReturnValues": "ALL_NEW",
    }
    updated = client.update_versioned(ExpectedVersion=1, **update)
    assert updated["Attributes"] == {"id": "a", "n": 2, "Version": 2}
    for expected in (1, 2):
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.update_versioned(ExpectedVersion=expected, **update)
