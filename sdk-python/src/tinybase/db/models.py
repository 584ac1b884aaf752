"""The server's tables as SQLModel classes, for `select(Record)` and the like."""

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import JSON, Column
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

__all__ = ["Collection", "Record", "User"]


def _now() -> datetime:
    return datetime.now(UTC)


class _Base(SQLModel, registry=registry()):
    """Keeps these tables out of the author's own `SQLModel.metadata`."""


class Record(_Base, table=True):
    """A record of any collection."""

    __tablename__: ClassVar[str] = "record"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    collection_id: UUID
    owner_id: UUID | None = None
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)


class User(_Base, table=True):
    """A user; never with a password."""

    __tablename__: ClassVar[str] = "user"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str
    is_admin: bool = False
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)


class Collection(_Base, table=True):
    """A collection and its schema."""

    __tablename__: ClassVar[str] = "collection"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    label: str = ""
    schema_: dict[str, Any] = Field(default_factory=dict, sa_column=Column("schema", JSON))
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)
