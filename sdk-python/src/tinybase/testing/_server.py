"""A server in memory: records, users, collections, values, a clock and a log."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from tinybase import _json
from tinybase.data import StoredCollection, StoredRecord, StoredUser
from tinybase.errors import HostError, HostNotFound

if TYPE_CHECKING:
    from tinybase._host import (
        ActivityRow,
        CallRow,
        CollectionRow,
        QueryRow,
        RecordRow,
        Scope,
        UserRow,
    )

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def advance(self, by: timedelta) -> None:
        """Lets time pass."""
        self.now += by


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the extension's log."""

    level: int
    logger: str
    message: str
    invocation_id: str
    facts: str


class FakeServer:
    """What call-backs reach in a test. A test may read and fill it directly."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.clock = Clock()
        self.records: dict[UUID, StoredRecord] = {}
        self.users: dict[UUID, StoredUser] = {}
        self.collections: dict[str, StoredCollection] = {}
        self.values: dict[str, bytes] = {}
        self.activities: list[ActivityRow] = []
        """What was noted: action, kind and id of the thing, user id, metadata as JSON, address."""
        self.logs: list[LogLine] = []
        self.config = _json.dumps(config or {})
        self.written: Callable[[str, StoredRecord, dict[str, Any]], None] = _nobody_listens
        self.called: Callable[[str, Any], Any] | None = None

    # What a test fills it with.

    def add_collection(self, name: str, schema: dict[str, Any] | None = None) -> StoredCollection:
        """Makes a collection, or returns the one of that name."""
        if name not in self.collections:
            now = self.clock.now
            fields = schema or {"fields": []}
            self.collections[name] = StoredCollection(uuid4(), name, name, fields, {}, now, now)
        return self.collections[name]

    def add_record(
        self,
        collection: str,
        data: dict[str, Any],
        *,
        id: UUID | None = None,
        owner_id: UUID | None = None,
    ) -> StoredRecord:
        """Stores a record, without any hook; makes the collection if need be."""
        place = self.add_collection(collection)
        now = self.clock.now
        plain = _json.loads(_json.dumps(data))
        record = StoredRecord(id or uuid4(), collection, place.id, owner_id, plain, now, now, 1)
        self.records[record.id] = record
        return record

    def add_user(self, email: str, *, is_admin: bool = False) -> StoredUser:
        """Stores a user, without any hook."""
        now = self.clock.now
        user = StoredUser(uuid4(), email, is_admin, now, now)
        self.users[user.id] = user
        return user

    def change_record(self, id: UUID, data: dict[str, Any]) -> StoredRecord:
        """Merges fields into a record, without any hook."""
        old = self._find(str(id), "")
        merged = old.data | _json.loads(_json.dumps(data))
        made = (old.id, old.collection, old.collection_id, old.owner_id, merged)
        times = old.created_at, self.clock.now
        self.records[old.id] = StoredRecord(*made, *times, old.version + 1)
        return self.records[old.id]

    # What call-backs use.

    def now(self) -> float:
        return self.clock.now.timestamp()

    def get_record(self, scope: Scope, collection: str, id: str) -> RecordRow:
        return _record_row(self._find(id, collection))

    def list_records(
        self,
        scope: Scope,
        query: QueryRow,
        page: tuple[int, str],
    ) -> tuple[list[RecordRow], str]:
        collection, conditions, sort = query
        found = [it for it in self.records.values() if collection in ("", it.collection)]
        for field, how, value in conditions:
            wanted = _json.loads(value)
            found = [it for it in found if _holds(_value(it, field), how, wanted)]
        for field, descending in reversed(sort):
            found.sort(key=lambda it, f=field: _value(it, f), reverse=descending)  # type: ignore[misc]
        size, start = page[0] or 100, int(page[1] or 0)
        rows = [_record_row(it) for it in found[start : start + size]]
        return rows, str(start + size) if start + size < len(found) else ""

    def create_record(self, scope: Scope, collection: str, data: str, owner_id: str) -> RecordRow:
        if collection not in self.collections:
            raise HostNotFound(f"there is no collection {collection!r}")
        owner = _json.parse_optional_uuid(owner_id or (scope.user_id if scope else ""))
        record = self.add_record(collection, _json.loads(data), owner_id=owner)
        self.written("record.create", record, {})
        return _record_row(record)

    def update_record(self, scope: Scope, collection: str, id: str, data: str) -> RecordRow:
        before = self._find(id, collection).data
        record = self.change_record(UUID(id), _json.loads(data))
        self.written("record.update", record, before)
        return _record_row(record)

    def delete_record(self, scope: Scope, collection: str, id: str) -> None:
        record = self.records.pop(self._find(id, collection).id)
        self.written("record.delete", record, {})

    def list_collections(self, scope: Scope) -> list[CollectionRow]:
        return [_collection_row(self.collections[name]) for name in sorted(self.collections)]

    def get_user(self, scope: Scope, id: str) -> UserRow:
        user = self.users.get(UUID(id))
        if user is None:
            raise HostNotFound(f"there is no user {id}")
        times = _time(user.created_at), _time(user.updated_at)
        return (str(user.id), user.email, user.is_admin, *times)

    def call_function(self, scope: Scope, name: str, input: str) -> CallRow:
        if self.called is None:
            raise HostNotFound(f"there is no function {name!r}")
        output = self.called(name, _json.loads(input))
        return (str(uuid4()), "succeeded", _json.dumps(output), "", "", 0)

    def get_value(self, scope: Scope, key: str) -> bytes | None:
        return self.values.get(key)

    def set_value(self, scope: Scope, key: str, value: bytes) -> None:
        if len(key.encode()) > 512:
            raise HostError("a key has at most 512 bytes", kind="InvalidArgument")
        self.values[key] = value

    def delete_value(self, scope: Scope, key: str) -> None:
        self.values.pop(key, None)

    def write_activity(self, scope: Scope, activity: ActivityRow) -> None:
        self.activities.append(activity)

    def _find(self, id: str, collection: str) -> StoredRecord:
        record = self.records.get(UUID(id))
        if record is None or collection not in ("", record.collection):
            raise HostNotFound(f"there is no record {id}")
        return record


def _nobody_listens(_event: str, _record: StoredRecord, _before: dict[str, Any]) -> None:
    return


def _holds(left: Any, how: str, right: Any) -> bool:  # noqa: ANN401 - JSON
    try:
        return _COMPARE[how](left, right)
    except TypeError:  # Values of different types have no order.
        return False


def _value(record: StoredRecord, field: str) -> Any:  # noqa: ANN401 - JSON
    if field.startswith("data."):
        return record.data.get(field.removeprefix("data."))
    value = getattr(record, field)
    if isinstance(value, datetime):
        return _time(value)
    return value if value is None else str(value)


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _record_row(it: StoredRecord) -> RecordRow:
    owner = "" if it.owner_id is None else str(it.owner_id)
    ids = (str(it.id), it.collection, str(it.collection_id), owner)
    return (*ids, _json.dumps(it.data), _time(it.created_at), _time(it.updated_at), it.version)


def _collection_row(it: StoredCollection) -> CollectionRow:
    texts = (str(it.id), it.name, it.label, _json.dumps(it.schema), _json.dumps(it.options))
    return (*texts, _time(it.created_at), _time(it.updated_at))
