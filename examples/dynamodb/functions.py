"""What administrators can call: reading tables page by page, and putting single items."""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError
from tinybase.errors import Forbidden, Reject
from tinybase.functions import Context, register

from .connection import client, settings
from .failures import refused
from .items import plain
from .settings import DELETED, VERSION

# An answer is at most 1 MiB of JSON. An item is at most 400 KB, binary a third more as base64: so
# the one that crosses this still fits.
BYTES_MAX = 440 << 10
ITEMS_MAX = 1000
# A filter may throw away everything, and a page is up to 1 MB.
PAGES_MAX = 10

NAMES = {"type": "object", "additionalProperties": {"type": "string"}}
READING = {
    "table": {"type": "string", "description": "The mirror's table, if not given"},
    "index": {"type": "string"},
    "filter": {"type": "string", "description": "A filter expression"},
    "projection": {"type": "string", "description": "A projection expression"},
    "names": {**NAMES, "description": 'What "#name" in an expression means'},
    "values": {"type": "object", "description": 'What ":value" in an expression means'},
    "consistent": {"type": "boolean", "default": False},
    "deleted": {"type": "boolean", "default": False, "description": "Tombstones too"},
    "limit": {"type": "integer", "minimum": 1, "maximum": ITEMS_MAX, "default": 100},
    "next": {"type": "string", "description": "What the call before returned, to go on there"},
}
SCAN = {"type": "object", "properties": READING, "additionalProperties": False}
QUERY = {
    "type": "object",
    "properties": {
        **READING,
        "key": {"type": "string", "description": "A key condition expression"},
        "forward": {"type": "boolean", "default": True},
    },
    "required": ["key"],
    "additionalProperties": False,
}
PAGE = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"type": "object"}},
        "count": {"type": "integer"},
        "next": {"type": ["string", "null"], "description": "Null at the end"},
    },
    "required": ["items", "count", "next"],
}
PUT = {
    "type": "object",
    "properties": {
        "table": READING["table"],
        "item": {"type": "object"},
        "condition": {"type": "string", "description": "A condition expression"},
        "names": READING["names"],
        "values": READING["values"],
    },
    "required": ["item"],
    "additionalProperties": False,
}
DONE = {
    "type": "object",
    "properties": {"table": {"type": "string"}},
    "required": ["table"],
}


@register(
    name="dynamodb_query_all",
    description="The items of a table that a key condition finds",
    auth=settings.auth,
    input_model=QUERY,
    output_model=PAGE,
    tags=["dynamodb"],
)
@refused
def dynamodb_query_all(ctx: Context, payload: dict) -> dict:
    """All of them, in answers that fit: call again with `next` until it is null."""
    request = _request(payload)
    request["KeyConditionExpression"] = payload["key"]
    request["ScanIndexForward"] = payload.get("forward", True)
    return _page(client().query_iter(**request))


@register(
    name="dynamodb_scan_all",
    description="The items of a table, all or those that a filter lets through",
    auth=settings.auth,
    input_model=SCAN,
    output_model=PAGE,
    tags=["dynamodb"],
)
@refused
def dynamodb_scan_all(ctx: Context, payload: dict) -> dict:
    """All of them, in answers that fit: call again with `next` until it is null."""
    return _page(client().scan_iter(**_request(payload)))


@register(
    name="dynamodb_put",
    description="Puts an item into a table, unless it is the mirror's",
    auth=settings.auth,
    input_model=PUT,
    output_model=DONE,
    tags=["dynamodb"],
)
@refused
def dynamodb_put(ctx: Context, payload: dict) -> dict:
    """Puts an item. What the mirror wrote is the mirror's, and is refused."""
    request = {
        "TableName": _table(payload),
        "Item": payload["item"],
        "ConditionExpression": "attribute_not_exists(#mirrored)",
        "ExpressionAttributeNames": {**payload.get("names", {}), "#mirrored": VERSION},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if VERSION in payload["item"]:
        raise Reject(f"{VERSION} is the mirror's own attribute", code="mirrored")
    if payload.get("condition"):
        request["ConditionExpression"] += f" AND ({payload['condition']})"
    if payload.get("values"):
        request["ExpressionAttributeValues"] = payload["values"]
    try:
        client().put_item(**request)
    except client().exceptions.ConditionalCheckFailedException as error:
        raise _conflict(error) from error
    return {"table": request["TableName"]}


def _conflict(error: ClientError) -> Reject:
    if VERSION in error.response.get("Item", {}):
        words = "the item is the mirror's; change the record instead"
        return Reject(words, code="mirrored", status=409)
    return Reject("the condition doesn't hold", code="condition_failed", status=409)


def _table(payload: dict) -> str:
    table = payload.get("table", settings.table)
    if table not in (settings.table, *settings.tables):
        raise Forbidden(f"{table!r} is not among the tables in [extension.config]")
    return table


def _request(payload: dict) -> dict[str, Any]:
    limit = payload.get("limit", 100)
    request: dict[str, Any] = {
        "TableName": _table(payload),
        "ConsistentRead": payload.get("consistent", False),
        "max_items": limit,
        "max_pages": PAGES_MAX,
        "resume_token": payload.get("next"),
    }
    names = dict(payload.get("names", {}))
    filters = [f"({payload['filter']})"] if payload.get("filter") else []
    if not payload.get("deleted", False):
        filters.append("attribute_not_exists(#tombstone)")
        names["#tombstone"] = DELETED
    optional = {
        "IndexName": payload.get("index"),
        "FilterExpression": " AND ".join(filters),
        "ProjectionExpression": payload.get("projection"),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": payload.get("values"),
    }
    return request | {name: value for name, value in optional.items() if value}


def _page(found: Iterator[dict[str, Any]]) -> dict:
    rows, size = [], 0
    for item in found:
        rows.append(plain(item))
        size += len(json.dumps(rows[-1], default=str))
        if size >= BYTES_MAX:
            break
    return {"items": rows, "count": len(rows), "next": found.resume_token}
