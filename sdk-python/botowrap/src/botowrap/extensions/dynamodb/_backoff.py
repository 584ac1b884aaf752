"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from botowrap.deadlines import current_deadline
from botowrap.extensions.dynamodb._config import DynamoDBConfig

_DELAY_SECONDS_MAX = 20.0


def delay_seconds(attempts: int) -> float:
    """A random delay after so many attempts; its range doubles with each of them."""
    return float(min(random.uniform(0.05, 0.1) * 2**attempts, _DELAY_SECONDS_MAX))


def earliest_deadline(config: DynamoDBConfig) -> datetime | None:
    """The earlier one of the context's deadline and the configured one."""
    configured = config.deadline() if config.deadline is not None else None
    found = [until for until in (configured, current_deadline()) if until is not None]
    return min(found, default=None)


def ends_after_deadline(config: DynamoDBConfig, seconds: float) -> datetime | None:
    """The deadline, if a wait of `seconds` from now would end after it."""
    until = earliest_deadline(config)
    if until is None:
        return None
    ends = datetime.fromtimestamp(config.clock(), UTC) + timedelta(seconds=seconds)
    return until if ends >= until else None
