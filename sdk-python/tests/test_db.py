"""`ctx.db`: what is translated, and what is refused by name."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import and_, func, or_, text
from sqlalchemy.exc import MultipleResultsFound, NoResultFound
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, col, select, update

from tinybase.db import Session
from tinybase.db.models import Collection, Record, User
from tinybase.errors import HostNotFound
from tinybase.testing import FakeServer


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer()
    for number in range(6):
        server.add_record("orders" if number % 2 else "files", {"n": number, "s": f"s{number}"})
        server.clock.advance(timedelta(minutes=1))
    return server


@pytest.fixture
def db(server: FakeServer) -> Iterator[Session]:
    session = Session(server, None)
    yield session
    session.close()


def numbers(rows: Any) -> list[int]:  # noqa: ANN401 - records of any result
    return [row.data["n"] for row in rows]


def test_p40_all_records_come_with_their_fields(db: Session, server: FakeServer) -> None:
    first = db.exec(select(Record)).all()[0]
    stored = next(iter(server.records.values()))
    assert isinstance(first, SQLModel)
    assert (first.id, first.collection_id) == (stored.id, stored.collection_id)
    assert (first.owner_id, first.data) == (None, {"n": 0, "s": "s0"})
    assert first.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert {type(first.id), type(first.created_at)} == {UUID, datetime}


def test_results_are_read_in_every_documented_way(db: Session) -> None:
    assert numbers(db.exec(select(Record))) == [0, 1, 2, 3, 4, 5]
    first = db.exec(select(Record)).first()
    assert first is not None
    assert first.data["n"] == 0
    assert db.exec(select(Record).where(Record.id == uuid4())).first() is None
    assert db.exec(select(Record).where(Record.id == first.id)).one() is first
    with pytest.raises(NoResultFound):
        db.exec(select(Record).where(Record.id == uuid4())).one()
    with pytest.raises(MultipleResultsFound):
        db.exec(select(Record)).one()


MINUTE_3 = datetime(2026, 1, 1, 0, 3, tzinfo=UTC)
WHERE: list[tuple[Callable[[], Any], list[int]]] = [
    (lambda: Record.created_at < MINUTE_3, [0, 1, 2]),
    (lambda: Record.created_at <= MINUTE_3, [0, 1, 2, 3]),
    (lambda: Record.created_at > MINUTE_3, [4, 5]),
    (lambda: Record.created_at >= MINUTE_3, [3, 4, 5]),
    (lambda: Record.created_at == MINUTE_3, [3]),
    (lambda: Record.created_at != MINUTE_3, [0, 1, 2, 4, 5]),
    (lambda: MINUTE_3.replace(tzinfo=None) > Record.created_at, [0, 1, 2]),
    (lambda: col(Record.owner_id).is_(None), [0, 1, 2, 3, 4, 5]),
    (lambda: col(Record.owner_id).is_not(None), []),
    (lambda: and_(col(Record.created_at) > MINUTE_3, col(Record.owner_id).is_(None)), [4, 5]),
    (lambda: col(Record.data)["n"].as_integer() >= 4, [4, 5]),
    (lambda: col(Record.data)["s"].as_string() == "s2", [2]),
    (lambda: col(Record.data)["n"].in_([1, 5]), [1, 5]),
    (lambda: col(Record.data)["s"].in_(["s1", "none"]), [1]),
    (lambda: (Record.created_at > MINUTE_3) & (Record.created_at < MINUTE_3), []),
]


@pytest.mark.parametrize("number", range(len(WHERE)))
def test_conditions_are_translated(db: Session, number: int) -> None:
    condition, expected = WHERE[number]
    assert numbers(db.exec(select(Record).where(condition()))) == expected


def test_order_limit_and_offset_are_translated(db: Session) -> None:
    newest = select(Record).order_by(col(Record.created_at).desc())
    assert numbers(db.exec(newest.limit(2))) == [5, 4]
    assert numbers(db.exec(newest.offset(1).limit(2))) == [4, 3]
    assert numbers(db.exec(select(Record).order_by(col(Record.data)["n"].asc()).offset(4))) == [
        4,
        5,
    ]
    assert numbers(db.exec(select(Record).limit(0))) == []


def test_long_lists_come_page_by_page(server: FakeServer, db: Session) -> None:
    for number in range(6, 2400):
        server.add_record("orders", {"n": number})
    assert numbers(db.exec(select(Record).offset(1000).limit(1200))) == [*range(1000, 2200)]
    assert len(db.exec(select(Record)).all()) == 2400


def test_collections_are_found_by_name_and_their_records_by_it(db: Session) -> None:
    orders = db.exec(select(Collection).where(Collection.name == "orders")).one()
    assert orders.schema_ == {"fields": []}
    assert numbers(db.exec(select(Record).where(Record.collection_id == orders.id))) == [1, 3, 5]
    names = select(Collection).order_by(col(Collection.name).desc()).limit(1)
    assert [it.name for it in db.exec(names)] == ["orders"]
    assert db.get(Collection, orders.id) is not None


def test_users_are_found_by_id_only(db: Session, server: FakeServer) -> None:
    ada = server.add_user("ada@example.org", is_admin=True)
    for user in (db.get(User, ada.id), db.exec(select(User).where(User.id == ada.id)).one()):
        assert user is not None
        assert (user.email, user.is_admin) == ("ada@example.org", True)
    assert "password_hash" not in User.model_fields
    assert db.get(User, uuid4()) is None
    with pytest.raises(NotImplementedError, match=r"users by anything but User\.id"):
        db.exec(select(User)).all()


class Stranger(SQLModel, table=True):
    id: int = Field(primary_key=True)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: select(Record.id), "selecting 'id'; select a class"),
    (lambda: select(Record, User), "selecting 2 things at once"),
    (lambda: select(func.count()).select_from(Record), r"\.select_from\(\)"),
    (lambda: select(Record).join(User), r"\.join\(\)"),
    (lambda: select(Record).distinct(), r"\.distinct\(\)"),
    (lambda: select(Record).group_by(col(Record.owner_id)), r"\.group_by\(\)"),
    (lambda: select(Record).with_for_update(), r"\.with_for_update\(\)"),
    (lambda: select(aliased(Record)), r"aliased\(\)"),
    (
        lambda: select(Record).where(or_(col(Record.id) == 1, col(Record.id) == 2)),
        r"or_\(\) in where",
    ),
    (lambda: select(Record).where(~col(Record.id).in_([1])), "'not_in_op' in where"),
    (lambda: select(Record).where(col(User.email).like("x")), "'like_op' in where"),
    (
        lambda: select(Record).where(Record.id == Record.owner_id),
        "the column owner_id as the right",
    ),
    (lambda: select(Record).where(func.lower(Record.id) == "x"), r"lower\(\) in where"),
    (lambda: select(Record).where(text("1 = 1")), "TextClause in where"),
    (lambda: select(Record).order_by(func.random()), r"random\(\) in order_by"),
    (lambda: select(Record).order_by(col(Record.id).desc().nulls_last()), "in order_by"),
    (lambda: update(Record), "Update statements"),
    (lambda: text("select 1"), "TextClause statements"),
    (lambda: select(Stranger), "selecting Stranger"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_anything_else_is_refused_by_its_name(db: Session, number: int) -> None:
    statement, words = REFUSED[number]
    with pytest.raises(NotImplementedError, match=words):
        db.exec(statement())


def test_other_methods_are_refused_by_name(db: Session) -> None:
    session: Any = db
    with pytest.raises(NotImplementedError, match=r"ctx\.db\.query"):
        session.query(Record)
    with pytest.raises(NotImplementedError, match=r"the result's \.fetchmany"):
        session.exec(select(Record)).fetchmany(1)
    with pytest.raises(NotImplementedError, match="add of a User"):
        session.add(User(email="a@b.c"))


def test_changes_are_sent_at_commit_and_not_before(db: Session, server: FakeServer) -> None:
    orders = db.exec(select(Collection).where(Collection.name == "orders")).one()
    new = Record(collection_id=orders.id, data={"n": 6})
    changed, deleted, *_ = db.exec(select(Record).where(Record.collection_id == orders.id)).all()
    db.add(new)
    db.add(changed)
    changed.data["n"] = 100
    changed.data["deep"] = {"list": [1]}
    db.delete(deleted)
    assert len(server.records) == 6
    db.commit()
    assert server.records[new.id].data == {"n": 6}
    assert server.records[new.id].collection == "orders"
    assert server.records[changed.id].data == {"n": 100, "s": "s1", "deep": {"list": [1]}}
    assert deleted.id not in server.records
    changed.data["deep"]["list"].append(2)
    db.commit()
    assert server.records[changed.id].data["deep"] == {"list": [1, 2]}


def test_only_changed_fields_are_sent(db: Session, server: FakeServer) -> None:
    sent: list[str] = []
    update_record = server.update_record
    server.update_record = lambda *it: (sent.append(it[3]), update_record(*it))[1]  # type: ignore[method-assign, func-returns-value]
    record = db.exec(select(Record)).all()[0]
    db.commit()
    record.data = {"n": 0.0, "s": "s0"}
    db.commit()
    assert sent == ['{"n":0.0}']


def test_rollback_forgets_what_was_not_committed(db: Session, server: FakeServer) -> None:
    first, second, *_ = db.exec(select(Record)).all()
    first.data["n"] = 50
    db.delete(second)
    db.add(Record(collection_id=first.collection_id))
    db.rollback()
    db.commit()
    assert first.data["n"] == 0
    assert len(server.records) == 6


def test_refresh_reads_anew(db: Session, server: FakeServer) -> None:
    record = db.exec(select(Record)).all()[0]
    server.change_record(record.id, {"n": 9})
    db.refresh(record)
    assert record.data["n"] == 9


def test_removing_a_field_or_an_unknown_collection_is_an_error(db: Session) -> None:
    record = db.exec(select(Record)).all()[0]
    del record.data["s"]
    with pytest.raises(NotImplementedError, match=r"removing a field of a record \(s\)"):
        db.commit()
    db.rollback()
    db.add(Record(collection_id=uuid4()))
    with pytest.raises(HostNotFound, match="there is no collection with the id"):
        db.commit()


def test_the_models_stay_out_of_the_author_s_metadata() -> None:
    assert {"record", "user", "collection"}.isdisjoint(SQLModel.metadata.tables)
