"""The mirror: each change of a record becomes a conditional write of its item.

Events come at least once, and those of one record in any order, since creations, changes and
deletions are delivered side by side. An item is therefore written only over a lower version, and a
deletion leaves a tombstone with the highest one. However often and in whatever order the events
come, the table ends with what is latest.
"""

import logging
from typing import Any
from uuid import UUID

from tinybase.errors import HostNotFound
from tinybase.extensions import (
    RecordCreateEvent,
    RecordDeleteEvent,
    RecordUpdateEvent,
    on_record_create,
    on_record_delete,
    on_record_update,
    on_startup,
)
from tinybase.functions import current_context

from .connection import client, expires_at, items, make_table, settings
from .failures import retried
from .items import Change
from .settings import ALL, VERSION

logger = logging.getLogger(__name__)


@on_startup
def prepare() -> None:
    """Says what is mirrored, and makes the table if that is wanted."""
    if not settings.collections:
        logger.warning("no collection is mirrored: set collections in [extension.config]")
    if settings.create_table:
        make_table()
    named = ", ".join(settings.collections) or "nothing"
    logger.info("mirroring %s into the table %s", named, settings.table)


@retried
def created(event: RecordCreateEvent) -> None:
    """Puts a new record's item."""
    _put(event.collection, event.record_id, event.owner_id, event.data)


@retried
def updated(event: RecordUpdateEvent) -> None:
    """Puts a changed record's item."""
    _put(event.collection, event.record_id, event.owner_id, event.new_data)


@retried
def deleted(event: RecordDeleteEvent) -> None:
    """Puts a tombstone in the item's place."""
    put(items.tombstone(event.collection, event.record_id, expires_at()))


def _put(collection: str, id: UUID, owner_id: UUID | None, data: dict[str, Any]) -> None:
    context = current_context()
    if context.record_version < 1:
        raise ValueError("the event was logged before records had versions; call dynamodb_sync")
    # An event that is so old that its record's tombstone may be gone.
    late = context.now - context.occurred_at > settings.tombstone_life / 2
    if late and not _exists(collection, id):
        return
    updated_at, version = context.occurred_at, context.record_version
    put(items.record(Change(collection, id, owner_id, data, updated_at, version)))


def put(item: dict[str, Any]) -> bool:
    """Puts an item over a lower version; tells whether it did."""
    return client().put_if_newer(TableName=settings.table, Item=item, VersionAttribute=VERSION)


def _exists(collection: str, id: UUID) -> bool:
    try:
        current_context().records.get(id, collection)
    except HostNotFound:
        return False
    return True


for _collection in (ALL,) if ALL in settings.collections else settings.collections:
    on_record_create(_collection)(created)
    on_record_update(_collection)(updated)
    on_record_delete(_collection)(deleted)
