"""`ctx.db`: a unit of work in the manner of SQLModel's session, translated into call-backs.

There is no transaction: `commit` sends one call-back for each change, in order, and what was sent
before one fails stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from tinybase import _json
from tinybase.errors import HostNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from sqlmodel import SQLModel
    from sqlmodel.sql.expression import SelectOfScalar

    from tinybase._host import Host, Scope
    from tinybase.db.models import Record

T = TypeVar("T", bound="SQLModel")


class Result(Generic[T]):
    """The rows of a statement. They are read when asked for, page by page."""

    def __init__(self, rows: Iterator[T]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[T]:
        return self._rows

    def __getattr__(self, name: str) -> NoReturn:
        raise _unsupported(f"the result's .{name}", name)

    def all(self) -> list[T]:
        """All rows."""
        return [*self._rows]

    def first(self) -> T | None:
        """The first row, or none."""
        return next(self._rows, None)

    def one(self) -> T:
        """The only row.

        Raises:
            sqlalchemy.exc.NoResultFound: If there is none.
            sqlalchemy.exc.MultipleResultsFound: If there are more.
        """
        row = self.one_or_none()
        if row is None:
            from sqlalchemy.exc import NoResultFound

            raise NoResultFound("No row was found when one was required")
        return row

    def one_or_none(self) -> T | None:
        """The only row, or none.

        Raises:
            sqlalchemy.exc.MultipleResultsFound: If there are more.
        """
        row = next(self._rows, None)
        if row is not None and next(self._rows, None) is not None:
            from sqlalchemy.exc import MultipleResultsFound

            raise MultipleResultsFound("Multiple rows were found when one or none was required")
        return row


class Session:
    """Reads at once; writes at `commit`."""

    def __init__(self, host: Host, scope: Scope) -> None:
        self._host = host
        self._scope = scope
        self._read: dict[UUID, tuple[Record, str]] = {}
        self._new: list[Record] = []
        self._deleted: list[Record] = []

    def __getattr__(self, name: str) -> NoReturn:
        raise _unsupported(f"ctx.db.{name}", name)

    def exec(self, statement: SelectOfScalar[T]) -> Result[T]:
        """Runs a `select` of Record, User or Collection.

        Raises:
            NotImplementedError: For what a call-back can't say; it names the construct.
        """
        from tinybase.db import _reader
        from tinybase.db._translate import Query

        rows = _reader.rows(self._host, self._scope, Query(statement))
        return Result(self._remember(row) for row in rows)

    def get(self, entity: type[T], id: UUID | str) -> T | None:
        """Reads one record, user or collection by its id; none if there is none."""
        from tinybase.db import _reader

        try:
            row = _reader.row(self._host, self._scope, entity, str(id))
        except HostNotFound:
            return None
        return None if row is None else self._remember(row)

    def add(self, instance: SQLModel) -> None:
        """Marks a new record for creation; one that was read is watched anyway."""
        record = _only_record(instance, "add")
        _drop(record, self._deleted)
        if record.id not in self._read and not _among(record, self._new):
            self._new.append(record)

    def add_all(self, instances: Iterable[SQLModel]) -> None:
        """Marks several."""
        for instance in instances:
            self.add(instance)

    def delete(self, instance: SQLModel) -> None:
        """Marks a record for deletion."""
        record = _only_record(instance, "delete")
        if not _drop(record, self._new) and not _among(record, self._deleted):
            self._deleted.append(record)

    def commit(self) -> None:
        """Sends what was added, changed and deleted since the last time."""
        from tinybase.db import _writer

        while self._new:
            row = _writer.create(self._host, self._scope, self._new[0])
            self._read[row.id] = (row, _json.dumps(row.data))
            self._new.pop(0)
        for id, (record, before) in [*self._read.items()]:
            if _among(record, self._deleted):
                continue
            if _writer.update(self._host, self._scope, record, before):
                self._read[id] = (record, _json.dumps(record.data))
        while self._deleted:
            record = self._deleted[0]
            self._host.delete_record(self._scope, "", str(record.id))
            self._read.pop(record.id, None)
            self._deleted.pop(0)

    def flush(self) -> None:
        """The same as `commit`, there being no transaction."""
        self.commit()

    def rollback(self) -> None:
        """Forgets what wasn't committed."""
        self._new.clear()
        self._deleted.clear()
        for record, before in self._read.values():
            record.data = _json.loads(before)

    def refresh(self, instance: SQLModel) -> None:
        """Reads a record anew."""
        from tinybase.db import _reader

        record = _only_record(instance, "refresh")
        fresh = _reader.row(self._host, self._scope, type(record), str(record.id))
        for name in type(record).model_fields:
            setattr(record, name, getattr(fresh, name))
        self._read[record.id] = (record, _json.dumps(record.data))

    def close(self) -> None:
        """Forgets everything; nothing is held open."""
        self.rollback()
        self._read.clear()

    def _remember(self, row: Any) -> Any:  # noqa: ANN401 - what was read
        from tinybase.db.models import Record

        if not isinstance(row, Record):
            return row
        known = self._read.get(row.id)
        if known is not None:
            return known[0]
        self._read[row.id] = (row, _json.dumps(row.data))
        return row


def _only_record(instance: SQLModel, what: str) -> Record:
    from tinybase.db.models import Record

    if not isinstance(instance, Record):
        raise _unsupported(f"ctx.db.{what} of a {type(instance).__name__}; records only", what)
    return instance


def _among(record: Record, records: list[Record]) -> bool:
    """By identity: records are equal by their values."""
    return any(it is record for it in records)


def _drop(record: Record, records: list[Record]) -> bool:
    before = len(records)
    records[:] = [it for it in records if it is not record]
    return len(records) < before


def _unsupported(construct: str, name: str) -> Exception:
    if name.startswith("__"):
        return AttributeError(name)
    return NotImplementedError(f"ctx.db doesn't support {construct}")
