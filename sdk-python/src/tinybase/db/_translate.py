"""From a `select` statement to the little that a call-back can say.

What can't be said raises NotImplementedError and names the construct; nothing is left out in
silence.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    Grouping,
    Null,
    True_,
    UnaryExpression,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.schema import Column
from sqlalchemy.sql.selectable import Select

_COMPARISONS: dict[Any, str] = {
    operators.eq: "==",
    operators.ne: "!=",
    operators.lt: "<",
    operators.le: "<=",
    operators.gt: ">",
    operators.ge: ">=",
    operators.in_op: "in",
    operators.is_: "==",
    operators.is_not: "!=",
}

# Parts of a `Select` that have no translation, and what to call them.
_UNSUPPORTED = {
    "_setup_joins": "join",
    "_from_obj": "select_from",
    "_group_by_clauses": "group_by",
    "_having_criteria": "having",
    "_distinct": "distinct",
    "_with_options": "options",
    "_for_update_arg": "with_for_update",
    "_fetch_clause": "fetch",
    "_independent_ctes": "add_cte",
    "_prefixes": "prefix_with",
    "_suffixes": "suffix_with",
}


class Query:
    """One entity, conditions that must all hold, an order, and a slice."""

    __slots__ = ("conditions", "entity", "limit", "offset", "order")

    def __init__(self, statement: object) -> None:
        if not isinstance(statement, Select):
            _refuse(f"{type(statement).__name__} statements; use select(Record), .add and .delete")
        for attribute, name in _UNSUPPORTED.items():
            part = getattr(statement, attribute, None)
            # Parts that were not given are none, false or empty; of others the truth isn't asked.
            if part is not None and part is not False and part != ():
                _refuse(f".{name}()")
        self.entity = _entity(statement)
        self.conditions = [*_conditions(statement.whereclause)]
        self.order = [_sort_key(clause) for clause in statement._order_by_clauses]
        self.limit = _count(statement._limit_clause, "limit")
        self.offset = _count(statement._offset_clause, "offset") or 0


def _refuse(construct: str) -> NoReturn:
    raise NotImplementedError(f"ctx.db doesn't support {construct}")


def _entity(statement: Select[Any]) -> type:
    descriptions = statement.column_descriptions
    if len(descriptions) != 1:
        _refuse(f"selecting {len(descriptions)} things at once; select one class")
    entity = descriptions[0].get("entity")
    if entity is None or descriptions[0]["expr"] is not entity:
        _refuse(f"selecting {descriptions[0]['name']!r}; select a class and take what you need")
    if not isinstance(entity, type):
        _refuse("aliased()")
    return entity


def _conditions(clause: object) -> list[tuple[str, str, Any]]:
    if clause is None or isinstance(clause, True_):
        return []
    if isinstance(clause, Grouping):
        return _conditions(clause.element)
    if isinstance(clause, BooleanClauseList):
        if clause.operator is not operators.and_:
            _refuse("or_() in where; run one select for each alternative")
        return [condition for part in clause.clauses for condition in _conditions(part)]
    if isinstance(clause, BinaryExpression):
        return [_comparison(clause)]
    _refuse(f"{_describe(clause)} in where")


def _comparison(clause: BinaryExpression[Any]) -> tuple[str, str, Any]:
    comparison = _COMPARISONS.get(clause.operator)
    if comparison is None:
        _refuse(f"the operator {getattr(clause.operator, '__name__', clause.operator)!r} in where")
    return (_field(clause.left, "where"), comparison, _value(clause.right))


def _field(element: object, where: str) -> str:
    if isinstance(element, Grouping):
        return _field(element.element, where)
    if isinstance(element, Column):
        return str(element.key)
    if (
        isinstance(element, BinaryExpression)
        and element.operator is operators.json_getitem_op
        and isinstance(element.left, Column)
        and isinstance(element.right, BindParameter)
        and isinstance(element.right.value, str)
    ):
        return f"{element.left.key}.{element.right.value}"
    _refuse(f"{_describe(element)} in {where}; compare a column with a value")


def _value(element: object) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(element, Null):
        return None
    if isinstance(element, Grouping):
        return _value(element.element)
    if isinstance(element, BindParameter):
        return plain(element.effective_value)
    if type(element).__name__ in ("True_", "False_"):
        return type(element).__name__ == "True_"
    _refuse(f"{_describe(element)} as the right side of a comparison; use a value")


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A value of Python as the server's JSON has it."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def _sort_key(clause: object) -> tuple[str, bool]:
    if isinstance(clause, UnaryExpression):
        if clause.modifier not in (operators.desc_op, operators.asc_op):
            _refuse(f"{getattr(clause.modifier, '__name__', 'an operator')!r} in order_by")
        return (_field(clause.element, "order_by"), clause.modifier is operators.desc_op)
    return (_field(clause, "order_by"), False)


def _count(clause: object, name: str) -> int | None:
    if clause is None:
        return None
    value = clause.effective_value if isinstance(clause, BindParameter) else None
    if not isinstance(value, int):
        _refuse(f".{name}() with anything but a number")
    return value


def _describe(element: object) -> str:
    if isinstance(element, Column):
        return f"the column {element.key}"
    if isinstance(element, FunctionElement):
        return f"{getattr(element, 'name', 'a function')}()"
    return type(element).__name__
