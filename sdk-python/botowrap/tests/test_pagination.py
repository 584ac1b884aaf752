"""P1 to P6: all pages, at once, lazily, in parallel, and later on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Key

from botowrap.errors import ResumeTokenError
from tests.conftest import Backend
from tests.servers import FaultServer

COUNT = 7


@pytest.fixture
def client(backend: Backend) -> Any:
    return backend.client(add_timestamps=False)


@pytest.fixture
def pages(backend: Backend, client: Any) -> str:
    """A table with seven items under one key."""
    table = backend.table(client, "pk:S", "sk:N")
    client.put_all(TableName=table, Items=[{"pk": "p", "sk": n} for n in range(COUNT)])
    return table


def numbers(items: Any) -> list[int]:
    return [int(item["sk"]) for item in items]


def test_p1_scan_all_and_query_all_return_every_page(client: Any, pages: str) -> None:
    condition = Key("pk").eq("p")
    found = client.query_all(TableName=pages, KeyConditionExpression=condition, Limit=2)
    assert numbers(found["Items"]) == list(range(COUNT))
    assert numbers(client.scan_all(TableName=pages, Limit=2)["Items"]) == list(range(COUNT))


def test_p1_pages_that_the_size_limit_cuts(client: Any, backend: Backend) -> None:
    table = backend.table(client, "pk:S", "sk:N")
    for number in range(4):
        client.put_item(TableName=table, Item={"pk": "p", "sk": number, "b": bytes(390_000)})
    assert "LastEvaluatedKey" in client.scan(TableName=table)
    assert numbers(client.scan_all(TableName=table)["Items"]) == [0, 1, 2, 3]


def test_p2_without_the_option_the_methods_are_absent(backend: Backend) -> None:
    client = backend.client(add_pagination=False)
    for name in ("query_all", "scan_all", "query_iter", "scan_iter", "parallel_scan"):
        assert not hasattr(client, name)


def test_p3_a_start_key_of_the_caller_works(client: Any, pages: str) -> None:
    start = {"pk": "p", "sk": 2}
    found = client.scan_all(TableName=pages, ExclusiveStartKey=start, Limit=2)
    assert numbers(found["Items"]) == [3, 4, 5, 6]
    assert start == {"pk": "p", "sk": 2}
    found = client.scan_iter(TableName=pages, ExclusiveStartKey=start, Limit=2)
    assert numbers(found) == [3, 4, 5, 6]


def test_p4_counts_and_capacity_are_summed(client: Any, pages: str) -> None:
    found = client.scan_all(
        TableName=pages,
        Limit=2,
        FilterExpression="sk > :n",
        ExpressionAttributeValues={":n": 1},
        ReturnConsumedCapacity="INDEXES",
    )
    assert (found["Count"], found["ScannedCount"]) == (5, COUNT)
    capacity = found["ConsumedCapacity"]
    assert capacity["TableName"] == pages
    assert capacity["CapacityUnits"] >= 2, "half a unit for each of four pages"
    counted = client.scan_all(TableName=pages, Limit=2, Select="COUNT")
    assert (counted["Items"], counted["Count"]) == ([], COUNT)


def test_p5_iterators_are_lazy(client: Any, pages: str) -> None:
    calls: list[int] = []
    client.meta.events.register("before-call.dynamodb.Query", lambda **_: calls.append(1))
    found = client.query_iter(
        TableName=pages, KeyConditionExpression=Key("pk").eq("p"), Limit=2, max_items=3
    )
    assert calls == []
    assert int(next(found)["sk"]) == 0
    assert calls == [1]
    assert numbers(found) == [1, 2]
    assert calls == [1, 1]
    assert numbers(client.scan_iter(TableName=pages, Limit=3)) == list(range(COUNT))
    assert list(client.scan_iter(TableName=pages, max_items=0)) == []


def test_p5_parallel_scan_reads_every_segment(client: Any, backend: Backend) -> None:
    table = backend.table(client, "id:S")
    client.put_all(TableName=table, Items=[{"id": str(n)} for n in range(40)])
    found = client.parallel_scan(TableName=table, TotalSegments=3, Limit=5)
    assert sorted(int(item["id"]) for item in found["Items"]) == list(range(40))
    assert (found["Count"], found["ScannedCount"]) == (40, 40)


def test_p5_a_failing_segment_fails_the_scan(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.parallel_scan(TableName="nowhere")


def test_p5_an_iteration_reads_at_most_so_many_pages(faulty: Backend, faults: FaultServer) -> None:
    pages = [{"Items": [], "LastEvaluatedKey": {"id": {"S": str(page)}}} for page in range(3)]
    faults.respond = lambda operation, body: (200, pages[len(faults.requests) - 1])
    found = faulty.client().scan_iter(TableName="t", max_pages=2)
    assert list(found) == []
    assert len(faults.requests) == 2
    on = faulty.client().scan_iter(TableName="t", max_pages=1, resume_token=found.resume_token)
    assert list(on) == []
    assert faults.requests[-1][1]["ExclusiveStartKey"] == {"id": {"S": "1"}}
    none = faulty.client().scan_iter(TableName="t", max_pages=0)
    assert list(none) == []
    assert len(faults.requests) == 3
    with pytest.raises(ValueError, match="max_pages is -1"):
        faulty.client().scan_iter(TableName="t", max_pages=-1)


@pytest.mark.parametrize("taken", range(COUNT))
def test_p6_a_token_resumes_after_the_last_item(client: Any, pages: str, taken: int) -> None:
    first = client.scan_iter(TableName=pages, Limit=3, max_items=taken)
    assert numbers(first) == list(range(taken))
    token = first.resume_token
    assert isinstance(token, str)
    rest = client.scan_iter(TableName=pages, Limit=3, resume_token=token)
    assert numbers(rest) == list(range(taken, COUNT))
    assert rest.resume_token is None


def test_p6_a_token_holds_numbers_and_binary_exactly(client: Any, backend: Backend) -> None:
    table = backend.table(client, "pk:B", "sk:N")
    keys = [Decimal("0.1"), Decimal("12345678901234567890.123456789")]
    client.put_all(TableName=table, Items=[{"pk": b"\xff\x00", "sk": key} for key in keys])
    for native in ("decimal", "native"):
        reader = backend.client(numbers=native)
        first = reader.scan_iter(TableName=table, Limit=1, max_items=1)
        next(first)
        rest = reader.scan_iter(TableName=table, resume_token=first.resume_token)
        assert [item["sk"] for item in rest] == keys[1:]


@pytest.mark.parametrize("token", ["", "x", "e30=", "bnVsbA==", "eyJzdGFydCI6MSwic2tpcCI6MH0="])
def test_p6_what_is_no_token_is_refused(client: Any, pages: str, token: str) -> None:
    with pytest.raises(ResumeTokenError):
        client.scan_iter(TableName=pages, resume_token=token)


def test_p6_a_token_and_a_start_key_contradict(client: Any, pages: str) -> None:
    with pytest.raises(ValueError, match="either resume_token or ExclusiveStartKey"):
        client.scan_iter(TableName=pages, resume_token="x", ExclusiveStartKey={})
    with pytest.raises(ValueError, match="max_items is -1"):
        client.scan_iter(TableName=pages, max_items=-1)
