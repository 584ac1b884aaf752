"""A whole collection again: what was there before the mirror was, and what it missed."""

import contextvars
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tinybase.data import StoredRecord
from tinybase.errors import HostNotFound, Reject
from tinybase.functions import Context, register

from .connection import client, expires_at, items, settings
from .failures import refused
from .hooks import put
from .items import Change
from .settings import ALL, DELETED, VERSION

PAGE = 100
WRITERS = 16
SECONDS_MAX = 600

Place = dict[str, Any]

PLACE = {
    "type": "object",
    "properties": {
        "collection": {"type": "string"},
        "stage": {"enum": ["records", "items"]},
        "after": {"type": ["string", "null"]},
    },
    "required": ["collection", "stage", "after"],
    "additionalProperties": False,
}
QUESTION = {
    "type": "object",
    "properties": {
        "collection": {"type": "string", "description": "All that are mirrored, if not given"},
        "seconds": {"type": "integer", "minimum": 1, "maximum": SECONDS_MAX, "default": 20},
        "next": {**PLACE, "description": "What the call before returned, to go on from there"},
    },
    "additionalProperties": False,
}
ANSWER = {
    "type": "object",
    "properties": {
        "written": {"type": "integer", "description": "Items that were missing or older"},
        "unchanged": {"type": "integer", "description": "Items that were right"},
        "deleted": {"type": "integer", "description": "Items whose record is gone"},
        "next": {"anyOf": [PLACE, {"type": "null"}], "description": "Null once all is done"},
    },
    "required": ["written", "unchanged", "deleted", "next"],
}


@register(
    name="dynamodb_sync",
    description="Brings a collection's items up to date, page by page",
    auth="admin",
    input_model=QUESTION,
    output_model=ANSWER,
    tags=["dynamodb"],
    timeout=timedelta(seconds=SECONDS_MAX + 60),
)
@refused
def dynamodb_sync(ctx: Context, payload: dict) -> dict:
    """Goes on until all is done or the time is over; the caller calls again with `next`.

    It may run beside the events: both write only over lower versions.
    """
    stop = time.monotonic() + payload.get("seconds", 20)
    # With the extension's own rights: a record that the caller may not see isn't gone.
    sync = Sync(ctx.as_extension(), _collections(ctx, payload))
    place: Place | None = payload.get("next") or sync.start()
    while place is not None and time.monotonic() < stop and not ctx.cancelled:
        place = sync.step(place)
    return {**sync.counts, "next": place}


def _collections(ctx: Context, payload: dict) -> list[str]:
    asked = payload.get("collection")
    if asked is not None:
        if not settings.mirrors(asked):
            raise Reject(f"{asked!r} is not among the mirrored collections", code="not_mirrored")
        return [asked]
    if ALL in settings.collections:
        return sorted(it.name for it in ctx.as_extension().collections.all())
    return sorted(settings.collections)


@dataclass
class Sync:
    """Goes through collections in two stages: their records, and then the items of the table."""

    context: Context
    collections: list[str]
    counts: dict[str, int] = field(
        default_factory=lambda: {"written": 0, "unchanged": 0, "deleted": 0}
    )

    def start(self) -> Place | None:
        """The first place, if there is anything to do."""
        return _place(self.collections[0], "records") if self.collections else None

    def step(self, place: Place) -> Place | None:
        """Works on one page; returns where the next one begins."""
        collection, after = place["collection"], place["after"]
        if place["stage"] == "records":
            records = self._records(collection, after)
            self._write(records)
            if len(records) == PAGE:
                return _place(collection, "records", str(records[-1].id))
            return _place(collection, "items")
        found = client_items(collection, after)
        self._delete(collection, [row["id"] for row in found])
        if found.resume_token is not None:
            return _place(collection, "items", found.resume_token)
        later = [name for name in self.collections if name > collection]
        return _place(min(later), "records") if later else None

    def _records(self, collection: str, after: str | None) -> list[StoredRecord]:
        where = [] if after is None else [("id", ">", after)]
        try:
            return self.context.records.find(collection, where=where, order_by="id", limit=PAGE)
        except HostNotFound:
            # The collection was deleted; its items have to go too.
            return []

    def _write(self, records: list[StoredRecord]) -> None:
        """Puts what is missing or older, told by one read of the versions of all."""
        made = [items.record(_change(record)) for record in records]
        stored = _stored_versions(made)
        older = [item for item in made if stored.get(item["id"], -1) < item[VERSION]]
        written = _side_by_side(put, older)
        self.counts["written"] += written
        self.counts["unchanged"] += len(made) - written

    def _delete(self, collection: str, ids: list[str]) -> None:
        """Buries items whose record is gone. An item is there only after its record was."""
        if not ids:
            return
        try:
            found = self.context.records.find(collection, where=[("id", "in", ids)], limit=len(ids))
        except HostNotFound:
            found = []
        gone = {*ids} - {str(record.id) for record in found}
        until = expires_at()
        tombstones = [items.tombstone(collection, id, until) for id in sorted(gone)]
        self.counts["deleted"] += _side_by_side(put, tombstones)


def client_items(collection: str, token: str | None) -> Any:
    """A page of a collection's items, less the tombstones and what isn't the mirror's."""
    partition = settings.layout.partition
    names = {"#collection": "collection", "#id": "id", "#version": VERSION, "#deleted": DELETED}
    living = "attribute_exists(#version) AND attribute_not_exists(#deleted)"
    request: dict[str, Any] = {
        "TableName": settings.table,
        "ProjectionExpression": "#id",
        "ConsistentRead": True,
        "max_items": PAGE,
        "max_pages": 1,
        "resume_token": token,
    }
    values = {":collection": collection}
    if partition.template == "{collection}" and settings.layout.sort is not None:
        del names["#collection"]
        return client().query_iter(
            **request,
            KeyConditionExpression="#partition = :collection",
            FilterExpression=living,
            ExpressionAttributeNames={**names, "#partition": partition.name},
            ExpressionAttributeValues=values,
        )
    return client().scan_iter(
        **request,
        FilterExpression=f"#collection = :collection AND {living}",
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=values,
    )


def _stored_versions(made: list[dict[str, Any]]) -> dict[str, int]:
    if not made:
        return {}
    asked = {
        "Keys": [items.key(item["collection"], item["id"]) for item in made],
        "ConsistentRead": True,
        "ProjectionExpression": "#id, #version",
        "ExpressionAttributeNames": {"#id": "id", "#version": VERSION},
    }
    answer = client().batch_get_all(RequestItems={settings.table: asked})
    rows = answer["Responses"][settings.table]
    return {row["id"]: row[VERSION] for row in rows if "id" in row and VERSION in row}


def _side_by_side(write: Callable[[Any], bool], made: Iterable[Any]) -> int:
    """Conditional writes can't go in batches, so they go at the same time."""
    with ThreadPoolExecutor(WRITERS) as pool:
        # Each in this context, so that the caller's deadline holds.
        running = [pool.submit(contextvars.copy_context().run, write, item) for item in made]
        return sum(it.result() for it in running)


def _change(record: StoredRecord) -> Change:
    facts = (record.collection, record.id, record.owner_id, record.data)
    return Change(*facts, record.updated_at, record.version)


def _place(collection: str, stage: str, after: str | None = None) -> Place:
    return {"collection": collection, "stage": stage, "after": after}
