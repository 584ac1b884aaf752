"""Adds assignments to an `UpdateExpression` that somebody else wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"[#:]?\w+|\S")
_CLAUSES = frozenset({"SET", "REMOVE", "ADD", "DELETE"})


def written_attributes(expression: str, names: Mapping[str, str]) -> set[str]:
    """The top-level attributes that the expression writes, with aliases resolved."""
    written = set()
    expecting = False
    depth = 0
    before = ""
    for match in _TOKEN.finditer(expression):
        token = match.group()
        # The clauses' words are reserved, so no attribute appears under them without an alias.
        if _is_clause(token, before):
            expecting, depth = True, 0
        elif token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif token == ",":
            expecting = depth == 0
        elif expecting:
            written.add(names.get(token, token))
            expecting = False
        before = token
    return written


def add_assignments(expression: str, assignments: list[str]) -> str:
    """The expression with further assignments in its `SET` clause, which is made if missing."""
    if not assignments:
        return expression
    added = ", ".join(assignments)
    before = ""
    for match in _TOKEN.finditer(expression):
        if match.group().upper() == "SET" and before != ".":
            return f"{expression[: match.end()]} {added},{expression[match.end() :]}"
        before = match.group()
    return f"{expression} SET {added}".lstrip()


def _is_clause(token: str, before: str) -> bool:
    return token.upper() in _CLAUSES and before != "."
