"""A sync brings the table to what the collections are, in bounded steps, beside the events."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import TABLE, Mirrored, mirror
from tinybase.testing import Rejected


def sync(mirrored: Mirrored, **payload: Any) -> dict[str, Any]:
    return mirrored.harness.call("dynamodb_sync", payload)


def names(mirrored: Mirrored) -> list[str]:
    return sorted(row["name"]["S"] for row in mirrored.living().values())


def test_what_was_there_before_is_mirrored_and_what_is_gone_is_buried(
    mirrored: Mirrored,
) -> None:
    server = mirrored.harness.server
    kept = [server.add_record("orders", {"name": f"n{number}"}) for number in range(3)]
    server.add_record("people", {"name": "ada"})
    server.add_record("others", {"name": "not mirrored"})
    done = sync(mirrored)
    assert done == {"written": 4, "unchanged": 0, "deleted": 0, "next": None}
    assert names(mirrored) == ["ada", "n0", "n1", "n2"]
    # Two changes that no event told of.
    server.change_record(kept[0].id, {"name": "changed"})
    del server.records[kept[1].id]
    assert sync(mirrored) == {"written": 1, "unchanged": 2, "deleted": 1, "next": None}
    assert names(mirrored) == ["ada", "changed", "n2"]
    assert sync(mirrored, collection="people")["unchanged"] == 1
    assert mirrored.harness.failures == []


def test_a_sync_and_an_event_write_the_same_item(mirrored: Mirrored) -> None:
    mirrored.harness.create_record("orders", {"name": "x"})
    by_event = mirrored.rows()
    for row in by_event.values():
        key = {"collection": row["collection"], "id": row["id"]}
        mirrored.client.delete_item(TableName=TABLE, Key=key)
    assert sync(mirrored)["written"] == 1
    assert mirrored.rows() == by_event


def test_a_sync_goes_on_where_it_stopped(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        mirrored.harness.server.add_record("orders", {"name": f"{number:03}"})
    ticks = iter(range(1_000_000))
    # Each look at the clock takes a second, so that a call has time for two pages.
    monkeypatch.setattr(
        f"{package(mirrored)}.sync.time.monotonic", lambda: float(next(ticks)), raising=True
    )
    calls = [sync(mirrored, seconds=3)]
    while calls[-1]["next"] is not None:
        calls.append(sync(mirrored, seconds=3, next=calls[-1]["next"]))
    assert len(calls) > 2
    assert sum(call["written"] for call in calls) == 250
    assert len(mirrored.living()) == 250


def package(mirrored: Mirrored) -> str:
    import sys

    return next(name for name in sys.modules if name.startswith("tinybase_extension_dynamodb"))


def test_other_collections_are_refused(mirrored: Mirrored) -> None:
    with pytest.raises(Rejected, match="not_mirrored"):
        sync(mirrored, collection="others")


def test_a_deleted_collection_is_buried(mirrored: Mirrored) -> None:
    record = mirrored.harness.create_record("orders", {"name": "x"})
    del mirrored.harness.server.records[record.id]
    del mirrored.harness.server.collections["orders"]
    assert sync(mirrored, collection="orders")["deleted"] == 1
    assert mirrored.living() == {}


@pytest.fixture
def one_key(environment: Callable[..., None], endpoint: str) -> Iterator[Mirrored]:
    environment(
        partition_key="pk",
        partition_value="{collection}#{id}",
        sort_key="",
        generation="2",
        indexed="name",
    )
    yield from mirror(endpoint)


def test_another_layout_and_a_later_generation(one_key: Mirrored) -> None:
    record = one_key.harness.server.add_record("orders", {"name": "x", "n": 1})
    gone = one_key.harness.server.add_record("orders", {"name": "y"})
    assert sync(one_key)["written"] == 2
    row = one_key.rows()[str(record.id)]
    assert (row["pk"]["S"], row["name"]["S"]) == (f"orders#{record.id}", "x")
    assert one_key.version(record.id) == 2 * 10**15 + 1
    del one_key.harness.server.records[gone.id]
    assert sync(one_key)["deleted"] == 1
    assert [*one_key.living()] == [str(record.id)]
