"""The configuration of the DynamoDB extension."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

__all__ = ["Capacity", "DynamoDBConfig"]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one call consumed of one table."""

    operation: str
    table: str
    capacity_units: float


@dataclass(frozen=True)
class DynamoDBConfig:
    """What the extension adds to clients, and how.

    Attributes:
        max_retries: how often a throttled call is tried again.
        log_consumed: whether consumed capacity is asked for and logged.
        add_pagination: whether clients get `scan_all`, `query_all` and their kin.
        add_timestamps: whether writes get the two timestamps.
        numbers: `"decimal"` reads every number as `Decimal`; `"native"` as `int` or `float`
            where that loses nothing.
        binary: `"bytes"` reads binary values as `bytes`, `"binary"` as boto3's `Binary`.
        refuse_wire_form: whether a value such as `{"S": "a"}` is an error, because it looks
            already serialised. Turn it off to store maps that look so.
        created_at: the attribute of the time of creation.
        updated_at: the attribute of the time of the last write.
        timestamp_format: how both are written.
        clock: the time now, in seconds since the epoch.
        default: makes a value that DynamoDB can hold of one that it can't, as in `json.dumps`.
        on_capacity: called for each table that a call consumed capacity of.
        deadline: until when the caller waits; see also `botowrap.deadlines`.
    """

    max_retries: int = 5
    log_consumed: bool = True
    add_pagination: bool = True
    add_timestamps: bool = True
    numbers: Literal["decimal", "native"] = "decimal"
    binary: Literal["bytes", "binary"] = "bytes"
    refuse_wire_form: bool = True
    created_at: str = "CreatedAt"
    updated_at: str = "UpdatedAt"
    timestamp_format: Literal["seconds", "milliseconds", "iso8601"] = "seconds"
    clock: Callable[[], float] = time.time
    default: Callable[[Any], Any] | None = None
    on_capacity: Callable[[Capacity], None] | None = None
    deadline: Callable[[], datetime | None] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.max_retries, int) or isinstance(self.max_retries, bool):
            raise TypeError(f"max_retries is {self.max_retries!r}; it must be an int")
        if self.max_retries < 0:
            raise ValueError(f"max_retries is {self.max_retries}; it must be 0 or more")
        for name in ("log_consumed", "add_pagination", "add_timestamps", "refuse_wire_form"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}; it must be True or False")
        self._check_choice("numbers", "decimal", "native")
        self._check_choice("binary", "bytes", "binary")
        self._check_choice("timestamp_format", "seconds", "milliseconds", "iso8601")
        for name in ("created_at", "updated_at"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must name an attribute")
        if self.created_at == self.updated_at:
            raise ValueError(f"created_at and updated_at are both {self.created_at!r}")

    def _check_choice(self, name: str, *choices: str) -> None:
        if getattr(self, name) not in choices:
            offered = " or ".join(map(repr, choices))
            raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {offered}")
