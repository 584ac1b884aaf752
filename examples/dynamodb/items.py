"""From a record to an item of the table. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .settings import DELETED, EXPIRES_AT, VERSION, Layout

# Versions of one generation of the server's database. The highest is a deletion's: ids aren't used
# again, so nothing is later than that.
VERSIONS = 10**15
LAST = VERSIONS - 1


@dataclass(frozen=True)
class Change:
    """What a record is from some version on."""

    collection: str
    id: UUID
    owner_id: UUID | None
    data: dict[str, Any]
    updated_at: datetime
    version: int


class Items:
    """Makes items as one layout and one generation have them."""

    def __init__(self, layout: Layout, generation: int) -> None:
        self._layout = layout
        self._first = generation * VERSIONS

    def key(self, collection: str, id: UUID | str) -> dict[str, str]:
        """Where a record stands."""
        return {key.name: key.value(collection, str(id)) for key in self._layout.keys}

    def version(self, version: int) -> int:
        """A record's version as items have it."""
        return self._first + version

    def record(self, change: Change) -> dict[str, Any]:
        """A record's item. The same change makes the same item, whoever brings it."""
        item: dict[str, Any] = {
            "collection": change.collection,
            "id": str(change.id),
            "data": change.data,
            "created_at": _text(created_at(change.id)),
            "updated_at": _text(change.updated_at),
            VERSION: self.version(change.version),
            **self.key(change.collection, change.id),
        }
        if change.owner_id is not None:
            item["owner_id"] = str(change.owner_id)
        for name in self._layout.indexed:
            # A key of an index is text or a number; what is neither stays out of the index.
            value = change.data.get(name)
            if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
                item[name] = value
        return {name: value for name, value in item.items() if value is not None}

    def tombstone(self, collection: str, id: UUID | str, expires_at: datetime) -> dict[str, Any]:
        """What stays of a deleted record for a while, so that no late event brings it back."""
        return {
            "collection": collection,
            "id": str(id),
            VERSION: self.version(LAST),
            DELETED: True,
            EXPIRES_AT: int(expires_at.timestamp()),
            **self.key(collection, id),
        }


def created_at(id: UUID) -> datetime | None:
    """When a record was created: its id says so, and an event doesn't."""
    if id.version != 7:
        return None
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value of an item as JSON has it: sets are lists, and binary is base64."""
    if isinstance(value, dict):
        return {name: plain(held) for name, held in value.items()}
    if isinstance(value, list):
        return [plain(held) for held in value]
    if isinstance(value, set):
        return sorted((plain(held) for held in value), key=lambda it: (str(type(it)), it))
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    return value
