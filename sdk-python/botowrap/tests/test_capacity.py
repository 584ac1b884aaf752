"""L1 to L4: consumed capacity in the log, and wherever else it is wanted."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from botowrap.extensions.dynamodb import Capacity
from tests.conftest import Backend
from tests.servers import FaultServer

LOGGER = "botowrap.extensions.dynamodb"
MOTO_REPORTS_NONE = {"transact_write_items"}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, LOGGER)
    return caplog


def ours(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name == LOGGER]


def test_l1_every_item_operation_logs_without_being_asked(
    backend: Backend, client: Any, table: str, log: pytest.LogCaptureFixture
) -> None:
    key = {"id": "a"}
    operations: list[tuple[str, dict[str, Any]]] = [
        ("put_item", {"TableName": table, "Item": key}),
        ("get_item", {"TableName": table, "Key": key}),
        ("update_item", {"TableName": table, "Key": key}),
        ("query_all", {"TableName": table, "KeyConditions": {"id": _equal("a")}}),
        ("scan_all", {"TableName": table}),
        ("batch_get_item", {"RequestItems": {table: {"Keys": [key]}}}),
        ("batch_write_item", {"RequestItems": {table: [{"PutRequest": {"Item": key}}]}}),
        ("transact_write_items", {"TransactItems": [{"Put": {"TableName": table, "Item": key}}]}),
        ("transact_get_items", {"TransactItems": [{"Get": {"TableName": table, "Key": key}}]}),
        ("delete_item", {"TableName": table, "Key": key}),
    ]
    for method, params in operations:
        log.clear()
        getattr(client, method)(**params)
        if backend.name == "moto" and method in MOTO_REPORTS_NONE:
            continue
        (record,) = ours(log)
        assert record.levelno == logging.INFO
        start = f"DynamoDB consumed capacity for table {table}: "
        assert record.getMessage().startswith(start)
        assert float(record.getMessage().removeprefix(start)) > 0, method


def _equal(value: Any) -> dict[str, Any]:
    return {"AttributeValueList": [value], "ComparisonOperator": "EQ"}


def test_l1_what_the_caller_asks_for_is_kept(faulty: Backend, faults: FaultServer) -> None:
    client = faulty.client()
    client.scan(TableName="t", ReturnConsumedCapacity="NONE")
    client.scan(TableName="t")
    client.list_tables()
    asked = [body.get("ReturnConsumedCapacity") for _, body in faults.requests]
    assert asked == ["NONE", "TOTAL", None]


def test_l2_lists_log_one_line_per_table(
    backend: Backend, client: Any, table: str, log: pytest.LogCaptureFixture
) -> None:
    other = backend.table(client, "id:S")
    # Not the same key: moto takes it for a duplicate, though the tables differ.
    requests = {t: [{"PutRequest": {"Item": {"id": t}}}] for t in (table, other)}
    client.batch_write_item(RequestItems=requests)
    tables = [record.getMessage().split()[5] for record in ours(log)]
    assert sorted(tables) == sorted([f"{table}:", f"{other}:"])


def test_l3_without_the_option_nothing_is_logged_or_asked(
    faulty: Backend, faults: FaultServer, log: pytest.LogCaptureFixture
) -> None:
    faults.respond = lambda operation, body: (200, {"ConsumedCapacity": {"CapacityUnits": 1.0}})
    faulty.client(log_consumed=False).scan(TableName="t")
    assert ours(log) == []
    assert "ReturnConsumedCapacity" not in faults.requests[0][1]


def test_l4_records_are_structured_and_a_callable_is_told(
    faulty: Backend, faults: FaultServer, log: pytest.LogCaptureFixture
) -> None:
    consumed = {"TableName": "t", "CapacityUnits": 1.5}
    faults.respond = lambda operation, body: (200, {"ConsumedCapacity": consumed})
    told: list[Capacity] = []
    faulty.client(on_capacity=told.append).scan(TableName="t")
    (record,) = ours(log)
    fields = {name: vars(record)[name] for name in ("operation", "table", "capacity_units")}
    assert fields == {"operation": "Scan", "table": "t", "capacity_units": 1.5}
    assert told == [Capacity("Scan", "t", 1.5)]
    told.clear()
    faults.respond = lambda operation, body: (200, {"ConsumedCapacity": {"ReadCapacityUnits": 1}})
    faulty.client(on_capacity=told.append, log_consumed=False).scan(TableName="t")
    assert told == [Capacity("Scan", "Unknown", 0)], "told without the log as well"
