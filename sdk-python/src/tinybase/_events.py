"""The events that hooks are given, with exactly the documented fields in order."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass
    from typing import Any
    from uuid import UUID
else:
    from tinybase._frozen import dataclass


@dataclass(frozen=True, slots=True)
class UserLoginEvent:
    """A user logged in."""

    user_id: UUID
    email: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class UserRegisterEvent:
    """A new user registered."""

    user_id: UUID
    email: str


@dataclass(frozen=True, slots=True)
class RecordCreateEvent:
    """A record was created."""

    collection: str
    record_id: UUID
    data: dict[str, Any]
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class RecordUpdateEvent:
    """A record was changed, or is about to be."""

    collection: str
    record_id: UUID
    old_data: dict[str, Any]
    new_data: dict[str, Any]
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class RecordDeleteEvent:
    """A record was deleted, or is about to be."""

    collection: str
    record_id: UUID
    data: dict[str, Any]
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class FunctionCallEvent:
    """A function is about to run."""

    function_name: str
    user_id: UUID | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FunctionCompleteEvent:
    """A function ended; `status` is "succeeded" or "failed"."""

    function_name: str
    user_id: UUID | None
    status: str
    duration_ms: int
    error_message: str | None = None
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class BeforeRecordCreateEvent:
    """A record is about to be created; it has no id yet."""

    collection: str
    data: dict[str, Any]
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class BeforeUserRegisterEvent:
    """A user is about to be registered; it has no id yet."""

    email: str
