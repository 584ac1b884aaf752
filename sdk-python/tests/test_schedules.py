"""`@schedule`: what it registers, and what it refuses."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tinybase._registry import Registry
from tinybase.errors import RegistrationError
from tinybase.functions import Context, register, schedule


def rows(registry: Registry) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (name, function, json.loads(entry.timing))
        for name, function, entry in registry.named_schedules()
    ]


@pytest.mark.parametrize(
    ("when", "timing"),
    [
        (
            {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
            {"method": "cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin"},
        ),
        (
            {"every": timedelta(minutes=5)},
            {"method": "interval", "unit": "seconds", "value": 300},
        ),
        (
            {"at": datetime(2097, 1, 31, 18)},
            {"method": "once", "date": "2097-01-31", "time": "18:00:00"},
        ),
    ],
)
def test_each_way_to_say_when_is_what_the_server_reads(
    registry: Registry, when: dict[str, Any], timing: dict[str, Any]
) -> None:
    @schedule(**when)
    @register(name="clean_up")
    def clean_up(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    assert clean_up.__name__ == "clean_up"
    assert rows(registry) == [("clean_up", "clean_up", timing)]


def test_the_order_of_the_decorators_does_not_matter(registry: Registry) -> None:
    @register(name="clean_up", concurrency=1)
    @schedule(cron="@daily", name="daily", input={"days": 30}, missed="run_all", overlap="queue")
    @schedule(cron="@hourly", name="hourly")
    def clean_up(ctx: Context, payload: dict[str, Any]) -> None: ...

    assert [(name, function) for name, function, _ in rows(registry)] == [
        ("hourly", "clean_up"),
        ("daily", "clean_up"),
    ]
    daily = registry.schedules[1]
    assert (daily.input, daily.missed, daily.overlap) == ('{"days":30}', "run_all", "queue")
    assert registry.functions["clean_up"].concurrency == 1


def test_a_schedule_on_what_is_no_function_is_refused(registry: Registry) -> None:
    @schedule(cron="@daily")
    def lonely(ctx: Context, payload: dict[str, Any]) -> None: ...

    with pytest.raises(RegistrationError, match=r"lonely.*@register"):
        rows(registry)


def test_two_schedules_of_one_name_are_refused(registry: Registry) -> None:
    @schedule(cron="@daily")
    @schedule(cron="@hourly")
    @register(name="clean_up")
    def clean_up(ctx: Context, payload: dict[str, Any]) -> None: ...

    with pytest.raises(RegistrationError, match="two schedules are named 'clean_up'"):
        rows(registry)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, TypeError, "one of cron"),
        ({"cron": "@daily", "every": timedelta(hours=1)}, TypeError, "one of cron"),
        ({"every": timedelta(milliseconds=1500)}, ValueError, "whole seconds"),
        ({"at": datetime(2097, 1, 31, tzinfo=UTC)}, ValueError, "without a zone"),
        ({"cron": "@daily", "missed": "never"}, ValueError, "missed is one of"),
        ({"cron": "@daily", "overlap": "never"}, ValueError, "overlap is one of"),
        ({"crom": "@daily"}, TypeError, "did you mean 'cron'"),
    ],
)
def test_what_can_not_be_a_schedule_is_refused_at_import(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        schedule(**options)
