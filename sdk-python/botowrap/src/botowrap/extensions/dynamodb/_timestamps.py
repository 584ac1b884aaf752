"""`CreatedAt` and `UpdatedAt` in everything that writes an item, except PartiQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botowrap.extensions.dynamodb._conditions import Placeholders
from botowrap.extensions.dynamodb._config import DynamoDBConfig
from botowrap.extensions.dynamodb._update_expression import add_assignments, written_attributes

Params = dict[str, Any]


class Stamper:
    """Adds the timestamps to parameters, in containers of its own."""

    def __init__(self, config: DynamoDBConfig) -> None:
        self._config = config
        self._operations: dict[str, Callable[[Params], None]] = {
            "PutItem": self._put,
            "UpdateItem": self._update,
            "BatchWriteItem": self._batch,
            "TransactWriteItems": self._transaction,
        }

    def stamp(self, operation: str, params: Params) -> None:
        """Changes `params` itself, but nothing inside of it."""
        add = self._operations.get(operation)
        if add is not None:
            add(params)

    def _now(self) -> int | str:
        seconds = self._config.clock()
        if self._config.timestamp_format == "seconds":
            return int(seconds)
        if self._config.timestamp_format == "milliseconds":
            return int(seconds * 1000)
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")

    def _put(self, params: Params) -> None:
        item = params.get("Item")
        if isinstance(item, Mapping):
            now = self._now()
            stamped = {**item, self._config.updated_at: now}
            stamped.setdefault(self._config.created_at, now)
            params["Item"] = stamped

    def _update(self, params: Params) -> None:
        if "AttributeUpdates" in params:
            self._legacy_update(params)
            return
        expression = params.get("UpdateExpression", "")
        key = params.get("Key")
        if not isinstance(expression, str) or not isinstance(key, Mapping):
            return
        names = params.get("ExpressionAttributeNames") or {}
        left_alone = {*written_attributes(expression, names), *key}
        placeholders = Placeholders(params)
        assignments = []
        now = None
        if self._config.updated_at not in left_alone:
            now = placeholders.value(self._now())
            assignments.append(f"{placeholders.name(self._config.updated_at)} = {now}")
        if self._config.created_at not in left_alone:
            now = now or placeholders.value(self._now())
            created = placeholders.name(self._config.created_at)
            assignments.append(f"{created} = if_not_exists({created}, {now})")
        if assignments:
            params["UpdateExpression"] = add_assignments(expression, assignments)
            placeholders.store(params)

    def _legacy_update(self, params: Params) -> None:
        # Has no `if_not_exists`, so only the time of the update can be told.
        updates, key = params["AttributeUpdates"], params.get("Key")
        name = self._config.updated_at
        if isinstance(updates, Mapping) and isinstance(key, Mapping) and name not in key:
            stamp = {"Value": self._now(), "Action": "PUT"}
            params["AttributeUpdates"] = {name: stamp, **updates}

    def _batch(self, params: Params) -> None:
        tables = params.get("RequestItems")
        if isinstance(tables, Mapping):
            params["RequestItems"] = {
                table: [self._within(request, "PutRequest", self._put) for request in requests]
                if isinstance(requests, list | tuple)
                else requests
                for table, requests in tables.items()
            }

    def _transaction(self, params: Params) -> None:
        items = params.get("TransactItems")
        if isinstance(items, list | tuple):
            params["TransactItems"] = [
                self._within(self._within(item, "Put", self._put), "Update", self._update)
                for item in items
            ]

    @staticmethod
    def _within(request: Any, member: str, add: Callable[[Params], None]) -> Any:
        if not isinstance(request, Mapping) or not isinstance(request.get(member), Mapping):
            return request
        inner = dict(request[member])
        add(inner)
        return {**request, member: inner}
