"""The table is what the collections are, whatever comes twice, late, or in another order."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from conftest import TABLE, Mirrored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinybase.extensions import RecordCreateEvent, RecordDeleteEvent, RecordUpdateEvent

Fired = tuple[Any, int]


def life(id: UUID, updates: int, *, ends: bool) -> list[Fired]:
    """A record's events with their versions."""
    data = [{"n": number} for number in range(updates + 1)]
    events: list[Fired] = [(RecordCreateEvent("orders", id, data[0], None), 1)]
    for number in range(1, updates + 1):
        event = RecordUpdateEvent("orders", id, data[number - 1], data[number], None)
        events.append((event, number + 1))
    if ends:
        events.append((RecordDeleteEvent("orders", id, data[-1], None), updates + 2))
    return events


def deliver(mirrored: Mirrored, events: list[Fired]) -> None:
    for event, version in events:
        mirrored.harness.fire(event, version=version)
    assert mirrored.harness.failures == []


def expected(updates: int, *, ends: bool) -> dict[str, Any] | None:
    return None if ends else {"n": {"N": str(updates)}}


def test_each_change_of_a_record_reaches_its_item(mirrored: Mirrored) -> None:
    ada = mirrored.harness.server.add_user("ada@example.org")
    made = mirrored.harness.create_record("orders", {"n": 1, "tags": ["a"], "x": 1.5}, ada)
    (row,) = mirrored.rows().values()
    assert row["data"] == {"M": {"n": {"N": "1"}, "tags": {"L": [{"S": "a"}]}, "x": {"N": "1.5"}}}
    assert (row["collection"], row["id"]) == ({"S": "orders"}, {"S": str(made.id)})
    assert (row["owner_id"], row["_version"]) == ({"S": str(ada.id)}, {"N": "1"})
    mirrored.harness.update_record(made.id, {"n": 2})
    assert mirrored.living()[str(made.id)]["n"] == {"N": "2"}
    mirrored.harness.delete_record(made.id)
    assert mirrored.living() == {}
    tombstone = mirrored.rows()[str(made.id)]
    assert tombstone["_deleted"] == {"BOOL": True}
    assert "data" not in tombstone
    days = int(tombstone["_expires_at"]["N"]) - datetime.now(UTC).timestamp()
    assert timedelta(days=29) < timedelta(seconds=days) <= timedelta(days=30)
    assert mirrored.harness.failures == []


def test_other_collections_are_not_mirrored(mirrored: Mirrored) -> None:
    mirrored.harness.create_record("others", {"n": 1})
    assert mirrored.rows() == {}


@pytest.mark.parametrize("ends", [False, True])
def test_every_order_of_a_records_events_ends_the_same(mirrored: Mirrored, ends: bool) -> None:
    """All orders of four events, each order with a record of its own."""
    wanted = {}
    for number, order in enumerate(itertools.permutations(range(3 + ends))):
        id = UUID(int=number)
        events = life(id, 2, ends=ends)
        deliver(mirrored, [events[place] for place in order])
        if not ends:
            wanted[str(id)] = expected(2, ends=ends)
    assert mirrored.living() == wanted


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lives=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=4),
    copies=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_events_in_any_order_and_number_end_in_the_latest_state(
    mirrored: Mirrored, lives: list[tuple[int, bool]], copies: int, seed: int
) -> None:
    chance = random.Random(seed)
    wanted, events = {}, []
    for updates, ends in lives:
        id = uuid4()
        # Each at least once, some of them more often.
        once = life(id, updates, ends=ends)
        events += once + chance.choices(once, k=copies * len(once) - len(once))
        wanted[str(id)] = expected(updates, ends=ends)
    chance.shuffle(events)
    deliver(mirrored, events)
    living = mirrored.living()
    assert {id: living.get(id) for id in wanted} == wanted


def test_an_old_event_does_not_bring_back_what_has_lost_its_tombstone(
    mirrored: Mirrored,
) -> None:
    """A dead letter that is replayed after the tombstone expired."""
    record = mirrored.harness.create_record("orders", {"n": 1})
    mirrored.harness.delete_record(record.id)
    key = {"collection": {"S": "orders"}, "id": {"S": str(record.id)}}
    mirrored.client.delete_item(TableName=TABLE, Key=key)
    late = RecordCreateEvent("orders", record.id, {"n": 1}, None)
    long_ago = mirrored.harness.server.clock.now - timedelta(days=16)
    mirrored.harness.fire(late, version=1, occurred_at=long_ago)
    assert mirrored.rows() == {}
    kept = mirrored.harness.server.add_record("orders", {"n": 2})
    late = RecordCreateEvent("orders", kept.id, {"n": 2}, None)
    mirrored.harness.fire(late, version=1, occurred_at=long_ago)
    assert [*mirrored.rows()] == [str(kept.id)]
    assert mirrored.harness.failures == []


def test_what_no_item_can_hold_fails_with_its_place(mirrored: Mirrored) -> None:
    mirrored.harness.create_record("orders", {"a": [1, 1e300]})
    (failure,) = mirrored.harness.failures
    assert failure.error_type == "SerializationError"
    assert "Item.data.a[1]" in failure.message
    assert mirrored.rows() == {}


def test_fields_may_look_like_attribute_values(mirrored: Mirrored) -> None:
    record = mirrored.harness.create_record("orders", {"S": "text"})
    assert mirrored.living()[str(record.id)] == {"S": {"S": "text"}}


def test_the_extension_offers_what_its_readme_says(mirrored: Mirrored) -> None:
    assert mirrored.harness.functions == [
        "dynamodb_query_all",
        "dynamodb_scan_all",
        "dynamodb_put",
        "dynamodb_sync",
    ]
    assert [hook for hook in mirrored.harness.hooks if "orders" in hook] == [
        "hooks.created:record.create:orders",
        "hooks.updated:record.update:orders",
        "hooks.deleted:record.delete:orders",
    ]
