"""Records, users, collections and values of the server, read and written by call-backs.

These need no third-party package. `ctx.db` offers the same records to those who like SQLModel.
"""

from __future__ import annotations

from tinybase import _json
from tinybase.errors import CallFailed, HostNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from dataclasses import dataclass
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from tinybase._host import CollectionRow, Host, RecordRow, Scope, UserRow

    Where = Iterable[tuple[str, str, object]]
else:
    from tinybase._frozen import dataclass

__all__ = [
    "Collections",
    "Records",
    "StoredCollection",
    "StoredRecord",
    "StoredUser",
    "Users",
    "Values",
    "call_function",
]

_PAGE_MAX = 1000
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it is stored."""

    id: UUID
    collection: str
    collection_id: UUID
    owner_id: UUID | None
    data: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 0
    """Grows with every change."""


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """A collection as it is stored."""

    id: UUID
    name: str
    label: str
    schema: dict[str, Any]
    options: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user as it is stored; never a password."""

    id: UUID
    email: str
    is_admin: bool
    created_at: datetime
    updated_at: datetime


class _Access:
    __slots__ = ("_host", "_scope")

    def __init__(self, host: Host, scope: Scope) -> None:
        self._host = host
        self._scope = scope


class Records(_Access):
    """The records of all collections."""

    __slots__ = ()

    def get(self, id: UUID | str, collection: str | None = None) -> StoredRecord:
        """Reads one record.

        Raises:
            HostNotFound: If there is none.
        """
        return _record(self._host.get_record(self._scope, collection or "", str(id)))

    def iterate(
        self,
        collection: str | None = None,
        *,
        where: Where = (),
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
    ) -> Iterator[StoredRecord]:
        """Reads records page by page, oldest first unless told otherwise.

        Args:
            collection: The collection's name; none means all.
            where: Conditions that must all hold, such as `("data.mass", ">", 4000)`. Comparisons
                are ==, !=, <, <=, >, >= and in; a field is "id", "collection_id", "owner_id",
                "created_at", "updated_at" or "data.NAME".
            order_by: Fields; one with a "-" before it has the largest first.
            limit: The most records to read.
        """
        conditions = [_condition(*condition) for condition in where]
        keys = (order_by,) if isinstance(order_by, str) else order_by
        sort = [(key.removeprefix("-"), key.startswith("-")) for key in keys]
        token = ""
        while limit is None or limit > 0:
            size = _PAGE_MAX if limit is None else min(limit, _PAGE_MAX)
            query = (collection or "", conditions, sort)
            rows, token = self._host.list_records(self._scope, query, (size, token))
            yield from map(_record, rows)
            limit = None if limit is None else limit - len(rows)
            if not token:
                return

    def find(
        self,
        collection: str | None = None,
        *,
        where: Where = (),
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
    ) -> list[StoredRecord]:
        """The same as `iterate`, all at once."""
        return [*self.iterate(collection, where=where, order_by=order_by, limit=limit)]

    def create(
        self, collection: str, data: Mapping[str, object], owner_id: UUID | str | None = None
    ) -> StoredRecord:
        """Creates a record; without an owner it belongs to whoever this call acts for."""
        owner = "" if owner_id is None else str(owner_id)
        text = _json.dumps(dict(data))
        return _record(self._host.create_record(self._scope, collection, text, owner))

    def update(
        self, id: UUID | str, data: Mapping[str, object], collection: str | None = None
    ) -> StoredRecord:
        """Merges fields into a record."""
        text = _json.dumps(dict(data))
        return _record(self._host.update_record(self._scope, collection or "", str(id), text))

    def delete(self, id: UUID | str, collection: str | None = None) -> None:
        """Deletes a record."""
        self._host.delete_record(self._scope, collection or "", str(id))


class Users(_Access):
    """The users."""

    __slots__ = ()

    def get(self, id: UUID | str) -> StoredUser:
        """Reads one user.

        Raises:
            HostNotFound: If there is none.
        """
        return _user(self._host.get_user(self._scope, str(id)))


class Collections(_Access):
    """The collections and their schemas."""

    __slots__ = ()

    def all(self) -> list[StoredCollection]:
        """All collections, by name."""
        return [_collection(row) for row in self._host.list_collections(self._scope)]

    def get(self, name: str) -> StoredCollection:
        """One collection.

        Raises:
            HostNotFound: If there is none of that name.
        """
        for collection in self.all():
            if collection.name == name:
                return collection
        raise HostNotFound(f"there is no collection {name!r}")


class Values(_Access):
    """Bytes that this extension keeps under keys of its own."""

    __slots__ = ()

    def get(self, key: str) -> bytes | None:
        """The value, or none."""
        return self._host.get_value(self._scope, key)

    def set(self, key: str, value: bytes) -> None:
        """Stores a value."""
        self._host.set_value(self._scope, key, value)

    def delete(self, key: str) -> None:
        """Forgets a value."""
        self._host.delete_value(self._scope, key)


def call_function(host: Host, scope: Scope, name: str, payload: object) -> Any:  # noqa: ANN401 - JSON
    """Calls a function of any extension and returns its result.

    Raises:
        CallFailed: If the function failed.
    """
    row = host.call_function(scope, name, _json.dumps({} if payload is None else payload))
    call_id, status, output, message, kind, _duration_ms = row
    if status != "succeeded":
        raise CallFailed(message, error_type=kind, call_id=call_id)
    return _json.loads(output) if output else None


def _condition(field: str, comparison: str, value: object) -> tuple[str, str, str]:
    if comparison not in _COMPARISONS:
        raise ValueError(f"{comparison!r} is not a comparison: use {', '.join(_COMPARISONS)}")
    return (field, comparison, _json.dumps(value))


def _record(row: RecordRow) -> StoredRecord:
    id, collection, collection_id, owner_id, data, created_at, updated_at, version = row
    return StoredRecord(
        _json.parse_uuid(id),
        collection,
        _json.parse_uuid(collection_id),
        _json.parse_optional_uuid(owner_id),
        _json.loads(data),
        _json.parse_time(created_at),
        _json.parse_time(updated_at),
        version,
    )


def _collection(row: CollectionRow) -> StoredCollection:
    id, name, label, schema, options, created_at, updated_at = row
    return StoredCollection(
        _json.parse_uuid(id),
        name,
        label,
        _json.loads(schema),
        _json.loads(options),
        _json.parse_time(created_at),
        _json.parse_time(updated_at),
    )


def _user(row: UserRow) -> StoredUser:
    id, email, is_admin, created_at, updated_at = row
    created, updated = _json.parse_time(created_at), _json.parse_time(updated_at)
    return StoredUser(_json.parse_uuid(id), email, is_admin, created, updated)
