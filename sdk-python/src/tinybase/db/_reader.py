"""Rows of the server as instances of the models."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlmodel import SQLModel

from tinybase import _json
from tinybase.db._translate import Query, plain
from tinybase.db.models import Collection, Record, User
from tinybase.errors import HostNotFound

if TYPE_CHECKING:
    from tinybase._host import CollectionRow, Host, RecordRow, Scope, UserRow

_PAGE_MAX = 1000
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
}


def rows(host: Host, scope: Scope, query: Query) -> Iterator[SQLModel]:
    """The rows of a query."""
    if query.entity is Record:
        return _records(host, scope, query)
    if query.entity is Collection:
        return _collections(host, scope, query)
    if query.entity is User:
        return _users(host, scope, query)
    raise NotImplementedError(
        f"ctx.db doesn't support selecting {query.entity.__name__}; "
        "it has Record, User and Collection of tinybase.db.models"
    )


def row(host: Host, scope: Scope, entity: type, id: str) -> SQLModel | None:
    """One row by its id."""
    if entity is Record:
        return _record(host.get_record(scope, "", id))
    if entity is User:
        return _user(host.get_user(scope, id))
    if entity is Collection:
        found = (_collection(it) for it in host.list_collections(scope) if it[0] == id)
        return next(found, None)
    raise NotImplementedError(f"ctx.db doesn't support getting a {entity.__name__}")


def _records(host: Host, scope: Scope, query: Query) -> Iterator[SQLModel]:
    conditions = [(field, how, _json.dumps(value)) for field, how, value in query.conditions]
    skip, left, token = query.offset, query.limit, ""
    while left is None or left > 0:
        size = _PAGE_MAX if left is None else min(_PAGE_MAX, left + skip)
        page, token = host.list_records(scope, ("", conditions, query.order), (size, token))
        wanted = page[skip:] if left is None else page[skip : skip + left]
        skip = max(0, skip - len(page))
        left = None if left is None else left - len(wanted)
        yield from map(_record, wanted)
        if not token:
            return


def _collections(host: Host, scope: Scope, query: Query) -> Iterator[SQLModel]:
    """The server lists them all; there are few, so the rest is done here."""
    found = [_collection(it) for it in host.list_collections(scope)]
    for field, how, value in query.conditions:
        compare, name = _COMPARE[how], _plain_field(field)
        found = [it for it in found if compare(plain(getattr(it, name)), value)]
    for field, descending in reversed(query.order):
        name = _plain_field(field)
        found.sort(key=lambda it, name=name: getattr(it, name), reverse=descending)  # type: ignore[misc]
    end = None if query.limit is None else query.offset + query.limit
    return islice(iter(found), query.offset, end)


def _users(host: Host, scope: Scope, query: Query) -> Iterator[SQLModel]:
    match query.conditions:
        case [("id", "==", str(id))] if not query.offset and query.limit != 0:
            try:
                yield _user(host.get_user(scope, id))
            except HostNotFound:
                return
        case _:
            raise NotImplementedError(
                "ctx.db doesn't support selecting users by anything but User.id == id"
            )


def _plain_field(field: str) -> str:
    if "." in field:
        raise NotImplementedError(f"ctx.db doesn't support {field} in a select of Collection")
    return {"schema": "schema_"}.get(field, field)


def _record(it: RecordRow) -> Record:
    return Record(
        id=_json.parse_uuid(it[0]),
        collection_id=_json.parse_uuid(it[2]),
        owner_id=_json.parse_optional_uuid(it[3]),
        data=_json.loads(it[4]),
        created_at=_json.parse_time(it[5]),
        updated_at=_json.parse_time(it[6]),
    )


def _user(it: UserRow) -> User:
    created, updated = _json.parse_time(it[3]), _json.parse_time(it[4])
    return User(
        id=_json.parse_uuid(it[0]),
        email=it[1],
        is_admin=it[2],
        created_at=created,
        updated_at=updated,
    )


def _collection(it: CollectionRow) -> Collection:
    return Collection(
        id=_json.parse_uuid(it[0]),
        name=it[1],
        label=it[2],
        schema_=_json.loads(it[3] or "{}"),
        options=_json.loads(it[4] or "{}"),
        created_at=_json.parse_time(it[5]),
        updated_at=_json.parse_time(it[6]),
    )
