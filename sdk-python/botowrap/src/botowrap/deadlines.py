"""Until when the caller waits: no retry is begun that would end later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

__all__ = ["current_deadline", "deadline"]

_deadline: ContextVar[datetime | None] = ContextVar("botowrap_deadline", default=None)


@contextmanager
def deadline(until: datetime | timedelta) -> Iterator[datetime]:
    """Bounds the retries of every enhanced client called inside, in this thread or task.

    An inner deadline can only be earlier than the outer one.
    """
    if isinstance(until, timedelta):
        until = datetime.now(UTC) + until
    if until.tzinfo is None:
        raise ValueError(f"the deadline {until} has no time zone: use datetime.now(UTC) + …")
    outer = _deadline.get()
    token = _deadline.set(until if outer is None else min(until, outer))
    try:
        yield _deadline.get() or until
    finally:
        _deadline.reset(token)


def current_deadline() -> datetime | None:
    """The deadline that holds here, if any."""
    return _deadline.get()
