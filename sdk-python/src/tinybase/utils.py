"""Small things that handlers need: the time, and who may call a function."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

__all__ = ["AuthLevel", "utcnow"]


class AuthLevel(StrEnum):
    """Who may call a function."""

    PUBLIC = "public"
    AUTH = "auth"
    ADMIN = "admin"


def utcnow() -> datetime:
    """The time now, in UTC and aware of it."""
    return datetime.now(UTC)
