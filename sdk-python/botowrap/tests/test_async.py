"""The same extension on an aioboto3 session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary

from botowrap.core import ExtensionManager
from botowrap.errors import IncompleteBatchError, SerializationError
from botowrap.extensions.dynamodb import DynamoDBConfig, DynamoDBExtension, enhance_async
from tests.conftest import Backend
from tests.servers import FaultServer, fault, fixed
from tests.test_framework import handlers

aioboto3 = pytest.importorskip("aioboto3", reason="aioboto3 brings another boto3: see check")

THROTTLE = fault("ProvisionedThroughputExceededException")


def session(**config: Any) -> tuple[Any, ExtensionManager]:
    made = aioboto3.Session(region_name="us-east-1")
    extension = DynamoDBExtension(DynamoDBConfig(**config))
    return made, ExtensionManager(made).register(extension).bootstrap()


def test_every_feature_works_awaited(backend: Backend, table: str) -> None:
    async def use() -> None:
        made, _ = session(clock=lambda: 5.0, numbers="native")
        async with made.client("dynamodb", endpoint_url=backend.url) as plain:
            client = enhance_async(plain)
            await client.put_item(TableName=table, Item={"id": "a", "b": b"x", "s": {1}})
            got = await client.get_item(TableName=table, Key={"id": "a"})
            stamps = {"CreatedAt": 5, "UpdatedAt": 5}
            assert got["Item"] == {"id": "a", "b": b"x", "s": {1}, **stamps}
            await client.put_all(TableName=table, Items=[{"id": str(n)} for n in range(60)])
            assert (await client.scan_all(TableName=table, Limit=7))["Count"] == 61
            found = await client.query_all(
                TableName=table, KeyConditionExpression=Key("id").eq("a")
            )
            assert found["Items"] == [got["Item"]]
            assert (await client.parallel_scan(TableName=table))["Count"] == 61
            first = client.scan_iter(TableName=table, Limit=7, max_items=10)
            seen = [item["id"] async for item in first]
            rest = client.scan_iter(TableName=table, resume_token=first.resume_token)
            seen += [item["id"] async for item in rest]
            assert len(set(seen)) == len(seen) == 61
            keys = {"Keys": [{"id": str(n)} for n in range(60)]}
            rows = (await client.batch_get_all(RequestItems={table: keys}))["Responses"]
            assert len(rows[table]) == 60
            async with client.transaction() as actions:
                actions.put(TableName=table, Item={"id": "t"})
                actions.check(
                    TableName=table, Key={"id": "a"}, ConditionExpression=Attr("b").exists()
                )
            versioned = await client.put_versioned(TableName=table, Item={"id": "v"})
            await client.update_versioned(TableName=table, Key={"id": "v"}, ExpectedVersion=1)
            with pytest.raises(client.exceptions.ConditionalCheckFailedException):
                await client.put_versioned(TableName=table, Item=versioned)
            newer = {"id": "v", "Version": 2}
            assert await client.put_if_newer(TableName=table, Item=newer) is False
            absent: dict[str, Any] = {"TableName": table, "Item": newer, "KeyAttribute": "id"}
            assert await client.put_if_absent(**absent) is False
            with pytest.raises(SerializationError, match=r"^Item\.x: the set is empty"):
                await client.put_item(TableName=table, Item={"id": "a", "x": set()})

    asyncio.run(use())


def test_throttling_is_retried(faults: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def no_sleep(seconds: float) -> None:
        asked.append(seconds)

    async def use() -> None:
        made, _ = session(max_retries=3)
        async with made.client("dynamodb", endpoint_url=faults.url) as client:
            monkeypatch.setattr(asyncio, "sleep", no_sleep)
            faults.fail_first(3, THROTTLE)
            await client.get_item(TableName="t", Key={"id": "a"})
            assert (len(faults.requests), len(asked)) == (4, 3)
            faults.requests.clear()
            faults.respond = fixed(THROTTLE)
            with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
                await client.get_item(TableName="t", Key={"id": "a"})
            assert len(faults.requests) == 4
            faults.respond = lambda operation, body: (
                200,
                {"UnprocessedItems": body["RequestItems"]},
            )
            with pytest.raises(IncompleteBatchError):
                await client.put_all(TableName="t", Items=[{"id": "a"}])
            monkeypatch.undo()

    asyncio.run(use())


def test_a_resource_keeps_working(backend: Backend, table: str) -> None:
    async def use() -> None:
        made, manager = session()
        async with made.resource("dynamodb", endpoint_url=backend.url) as resource:
            rows = await resource.Table(table)
            await rows.put_item(Item={"id": "a", "b": b"x"})
            assert isinstance((await rows.get_item(Key={"id": "a"}))["Item"]["b"], Binary)
            manager.teardown()
            assert (await rows.scan())["Count"] == 1

    asyncio.run(use())


def test_detach_leaves_no_handler(faults: FaultServer) -> None:
    async def use() -> None:
        async with aioboto3.Session().client(
            "dynamodb", endpoint_url=faults.url, region_name="us-east-1"
        ) as plain:
            bare = handlers(plain)
        made, manager = session()
        async with made.client("dynamodb", endpoint_url=faults.url) as client:
            assert handlers(client) == bare + 4
            manager.teardown()
            assert handlers(client) == bare

    asyncio.run(use())
