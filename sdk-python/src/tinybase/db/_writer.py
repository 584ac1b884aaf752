"""Changes of records as call-backs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybase import _json
from tinybase.errors import HostNotFound

if TYPE_CHECKING:
    from tinybase._host import Host, Scope
    from tinybase.db.models import Record


def create(host: Host, scope: Scope, record: Record) -> Record:
    """Creates a record and gives the instance what the server made of it."""
    owner = "" if record.owner_id is None else str(record.owner_id)
    collection = _collection_name(host, scope, str(record.collection_id))
    row = host.create_record(scope, collection, _json.dumps(record.data), owner)
    record.id = _json.parse_uuid(row[0])
    record.owner_id = _json.parse_optional_uuid(row[3])
    _take(record, row[4], (row[5], row[6]))
    return record


def update(host: Host, scope: Scope, record: Record, before: str) -> bool:
    """Sends the fields that changed since the record was read, if any did.

    Raises:
        NotImplementedError: If a field was removed; the server only merges.
    """
    if _json.dumps(record.data) == before:
        return False
    former = _json.loads(before)
    removed = [name for name in former if name not in record.data]
    if removed:
        raise NotImplementedError(
            f"ctx.db doesn't support removing a field of a record ({', '.join(removed)}); "
            "set it to None"
        )
    changes = {
        name: value
        for name, value in record.data.items()
        if name not in former or former[name] != value or type(former[name]) is not type(value)
    }
    row = host.update_record(scope, "", str(record.id), _json.dumps(changes))
    _take(record, row[4], (row[5], row[6]))
    return True


def _take(record: Record, data: str, times: tuple[str, str]) -> None:
    record.data = _json.loads(data)
    record.created_at, record.updated_at = map(_json.parse_time, times)


def _collection_name(host: Host, scope: Scope, id: str) -> str:
    for row in host.list_collections(scope):
        if row[0] == id:
            return row[1]
    raise HostNotFound(f"there is no collection with the id {id}")
