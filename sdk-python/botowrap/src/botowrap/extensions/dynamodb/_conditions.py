"""`Key("id").eq("a")` and `Attr("n").gt(1)` as expressions with placeholders.

boto3 has a builder of its own; this one puts names and values beside the expression that uses
them, also within a transaction, and never takes a placeholder that the caller uses.
"""

from __future__ import annotations

import re
from typing import Any

from boto3.dynamodb.conditions import AttributeBase, ConditionBase

# A step of a path; what ends in a bracket is an index.
_STEP = re.compile(r"[^.\[\]]+(?=\.|\[|$)")


def build_conditions(params: dict[str, Any], members: list[str]) -> None:
    """Replaces condition objects in `params` by expressions; the dict is the caller's to change."""
    found = [name for name in members if isinstance(params.get(name), ConditionBase)]
    if not found:
        return
    placeholders = Placeholders(params)
    for name in found:
        params[name] = _expression(params[name], placeholders)
    placeholders.store(params)


class Placeholders:
    """Placeholders for names and values that are not in use in `params` yet."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._names: dict[str, str] = dict(params.get("ExpressionAttributeNames") or {})
        self._values: dict[str, Any] = dict(params.get("ExpressionAttributeValues") or {})

    def name(self, attribute: str) -> str:
        """A placeholder for an attribute's name."""
        return _add(self._names, "#bw", attribute)

    def value(self, value: Any) -> str:
        """A placeholder for a native value."""
        return _add(self._values, ":bw", value)

    def store(self, params: dict[str, Any]) -> None:
        """Puts what was added beside the expression."""
        if self._names:
            params["ExpressionAttributeNames"] = self._names
        if self._values:
            params["ExpressionAttributeValues"] = self._values


def _add(taken: dict[str, Any], prefix: str, held: Any) -> str:
    number = len(taken)
    while (placeholder := f"{prefix}{number}") in taken:
        number += 1
    taken[placeholder] = held
    return placeholder


def _expression(condition: ConditionBase, placeholders: Placeholders) -> str:
    parts = condition.get_expression()
    grouped = condition.has_grouped_values
    operands = [_operand(value, placeholders, grouped=grouped) for value in parts["values"]]
    text = parts["format"].format(*operands, operator=parts["operator"])
    return str(text)


def _operand(value: Any, placeholders: Placeholders, *, grouped: bool) -> str:
    if isinstance(value, ConditionBase):
        # `size(…)` is a condition for boto3, and stands for a value in an expression.
        return _expression(value, placeholders)
    if isinstance(value, AttributeBase):
        return _STEP.sub(lambda step: placeholders.name(step.group()), value.name)
    if grouped:
        return "(" + ", ".join(placeholders.value(one) for one in value) + ")"
    return placeholders.value(value)
