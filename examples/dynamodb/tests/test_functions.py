"""What administrators call: all of a table, in answers that fit."""

import json
from typing import Any

import pytest
from conftest import TABLE, Mirrored
from tinybase.testing import Rejected


def pages(mirrored: Mirrored, function: str, **payload: Any) -> list[dict[str, Any]]:
    answers = [mirrored.harness.call(function, payload)]
    while answers[-1]["next"] is not None:
        payload["next"] = answers[-1]["next"]
        answers.append(mirrored.harness.call(function, payload))
    return answers


@pytest.fixture
def filled(mirrored: Mirrored) -> Mirrored:
    for number in range(12):
        mirrored.harness.create_record("orders", {"n": number})
    gone = mirrored.harness.create_record("orders", {"n": 99})
    mirrored.harness.delete_record(gone.id)
    mirrored.harness.create_record("people", {"n": 0})
    return mirrored


def test_a_query_returns_all_without_tombstones(filled: Mirrored) -> None:
    query = {"key": "#c = :c", "names": {"#c": "collection"}, "values": {":c": "orders"}}
    answers = pages(filled, "dynamodb_query_all", limit=5, **query)
    found = [item["data"]["n"] for answer in answers for item in answer["items"]]
    assert sorted(found) == list(range(12))
    assert all(answer["count"] <= 5 for answer in answers)
    (all_of_it,) = pages(filled, "dynamodb_query_all", deleted=True, **query)
    assert all_of_it["count"] == 13


def test_a_scan_filters(filled: Mirrored) -> None:
    scan = {"filter": "#d.#n < :n", "names": {"#d": "data", "#n": "n"}, "values": {":n": 3}}
    (answer,) = pages(filled, "dynamodb_scan_all", **scan)
    assert sorted(item["data"]["n"] for item in answer["items"]) == [0, 0, 1, 2]


def test_an_answer_fits_into_the_servers_limit(mirrored: Mirrored) -> None:
    for number in range(6):
        mirrored.client.put_item(
            TableName=TABLE,
            Item={
                "collection": {"S": "files"},
                "id": {"S": str(number)},
                "content": {"B": b"\xff" * 300_000},
                "words": {"SS": ["b", "a"]},
                "number": {"N": "0.1234567890123456789"},
            },
        )
    answers = pages(mirrored, "dynamodb_scan_all")
    assert sum(answer["count"] for answer in answers) == 6
    assert all(len(json.dumps(answer)) < 1 << 20 for answer in answers)
    item = answers[0]["items"][0]
    assert (item["words"], item["number"]) == (["a", "b"], "0.1234567890123456789")


def test_an_item_is_put_and_its_condition_holds(mirrored: Mirrored) -> None:
    item = {"collection": "notes", "id": "1", "n": 1, "nested": {"a": [None, True]}}
    assert mirrored.harness.call("dynamodb_put", {"item": item}) == {"table": TABLE}
    (answer,) = pages(mirrored, "dynamodb_scan_all")
    assert answer["items"] == [item]
    request = {"item": {**item, "n": 2}, "condition": "n = :n", "values": {":n": 7}}
    with pytest.raises(Rejected, match="409 condition_failed"):
        mirrored.harness.call("dynamodb_put", request)
    mirrored.harness.call("dynamodb_put", request | {"values": {":n": 1}})
    (answer,) = pages(mirrored, "dynamodb_scan_all")
    assert answer["items"][0]["n"] == 2


def test_what_the_mirror_wrote_is_not_overwritten(filled: Mirrored) -> None:
    before = filled.rows()
    for row in before.values():
        item = {"collection": row["collection"]["S"], "id": row["id"]["S"]}
        with pytest.raises(Rejected, match="409 mirrored"):
            filled.harness.call("dynamodb_put", {"item": item})
    with pytest.raises(Rejected, match="mirrored"):
        filled.harness.call("dynamodb_put", {"item": {"id": "x", "_version": 1}})
    assert filled.rows() == before


@pytest.mark.parametrize("function", ["dynamodb_scan_all", "dynamodb_put"])
def test_other_tables_are_forbidden(mirrored: Mirrored, function: str) -> None:
    with pytest.raises(Rejected, match="403"):
        mirrored.harness.call(function, {"table": "secrets", "item": {}})


def test_a_token_that_is_none_is_refused(mirrored: Mirrored) -> None:
    with pytest.raises(Rejected, match="invalid_request"):
        mirrored.harness.call("dynamodb_scan_all", {"next": "nonsense"})
