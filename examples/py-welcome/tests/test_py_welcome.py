"""The example, without a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tinybase.testing import Harness

EXTENSION = Path(__file__).parents[1]

PENGUINS = [
    {"species": "Adelie", "island": "Dream", "year": 2007, "body_mass_g": 3750},
    {"species": "Gentoo", "island": "Biscoe", "year": 2008, "body_mass_g": 6300},
    {"species": "Gentoo", "island": "Biscoe", "year": 2009, "body_mass_g": 5950},
    {"species": "Adelie", "island": "Torgersen", "year": 2007},
]


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness(EXTENSION)
    harness.server.add_collection("penguins")
    with harness:
        yield harness
        assert harness.failures == []


def messages(harness: Harness) -> list[str]:
    return [line.message for line in harness.server.logs]


def test_each_penguin_is_counted_once_however_often_its_event_comes(harness: Harness) -> None:
    from tinybase.extensions import RecordCreateEvent

    for penguin in PENGUINS[:2]:
        record = harness.create_record("penguins", penguin)
    again = RecordCreateEvent("penguins", record.id, record.data, None)
    harness.fire(again, attempt=2)
    assert messages(harness)[-3:] == [
        "Adelie from Dream, so far 1 Adelie",
        "Gentoo from Biscoe, so far 1 Adelie, 1 Gentoo",
        "Gentoo from Biscoe, so far 1 Adelie, 1 Gentoo",
    ]


def test_other_collections_are_not_counted(harness: Harness) -> None:
    harness.create_record("orders", {"species": "no penguin"})
    assert messages(harness) == ["ready, with 0 penguins"]


def test_a_restart_counts_what_is_there() -> None:
    harness = Harness(EXTENSION)
    for penguin in PENGUINS:
        harness.server.add_record("penguins", penguin)
    with harness:
        assert messages(harness) == ["ready, with 4 penguins"]


def test_it_starts_without_the_collection() -> None:
    with Harness(EXTENSION) as harness:
        harness.server.collections.clear()
        assert harness.failures == []


def test_a_new_user_is_greeted(harness: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    harness.register_user("ada@example.org")
    assert capsys.readouterr().out == "Welcome, ada@example.org!\n"


def test_the_heaviest_come_first_and_the_unweighed_not_at_all(harness: Harness) -> None:
    for penguin in PENGUINS:
        harness.create_record("penguins", penguin)
    heaviest = harness.call("heaviest_penguins")["penguins"]
    assert [it["body_mass_g"] for it in heaviest] == [6300, 5950, 3750]
    assert heaviest[0] == {"species": "Gentoo", "island": "Biscoe", "body_mass_g": 6300}
    adelies = harness.call("heaviest_penguins", {"species": "Adelie", "limit": 1})
    assert [it["body_mass_g"] for it in adelies["penguins"]] == [3750]


def test_all_penguins_come_one_by_one(harness: Harness) -> None:
    for penguin in PENGUINS:
        harness.create_record("penguins", penguin)
    assert harness.call("every_penguin") == PENGUINS
