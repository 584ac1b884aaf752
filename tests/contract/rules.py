"""What Schemathesis is told in Python: what to leave alone, and checks of our own."""

import json
import os
from typing import Any
from urllib.parse import unquote

import schemathesis

Case = schemathesis.Case[Any]

# What everything else is asked about: without it there would be little left to test.
KEPT = frozenset(filter(None, os.environ.get("CONTRACT_KEPT", "").split(",")))
# What takes a thing away, or somebody's way in.
TAKES_AWAY = {
    ("DELETE", "/api/admin/extensions/{name}"),
    ("DELETE", "/api/admin/schedules/{id}"),
    ("DELETE", "/api/admin/users/{id}"),
    ("DELETE", "/api/collections/{name}"),
    ("PATCH", "/api/admin/users/{id}"),
}


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: Case) -> bool:
    """Lets nobody take away what the other requests need."""
    if (case.method.upper(), case.operation.path) not in TAKES_AWAY:
        return True
    named = (case.path_parameters or {}).values()
    return KEPT.isdisjoint(unquote(str(value)) for value in named)


def problem(response: schemathesis.Response) -> dict[str, object]:
    """The problem that an answer is; nothing if it is none."""
    if response.headers.get("content-type") != ["application/problem+json"]:
        return {}
    found: dict[str, object] = json.loads(response.content)
    return found


def kind(found: dict[str, object]) -> str:
    """Which problem it is."""
    return str(found.get("type")).rsplit("/", 1)[-1]


@schemathesis.check
def rejections_are_of_hooks(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case
) -> None:
    """`4XX` stands for a before-hook's own status, and for nothing else.

    Without this, an operation that has it could answer with any status of that kind.
    """
    status = response.status_code
    documented = {str(code) for code in case.operation.definition.raw["responses"]}
    if "4XX" not in documented or not 400 <= status < 500 or str(status) in documented:
        return
    # What belongs to no operation: a method that isn't there.
    if kind(problem(response)) in {"rejected", "method-not-allowed"}:
        return
    raise AssertionError(f"{status} is documented only as a rejection by an extension")


# What a schema can't say: all numbers have 64 bits, and an integer is written as one.
BEYOND_SCHEMAS = ("The body can't be kept as it is: ", "invalid type: floating point")


@schemathesis.check
def what_fits_the_document_has_the_right_shape(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case
) -> None:
    """Whoever keeps to the document never hears that something has the wrong shape."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    found = problem(response)
    if kind(found) != "unprocessable":
        return
    detail = str(found.get("detail"))
    if not any(words in detail for words in BEYOND_SCHEMAS):
        raise AssertionError(f"the document allows what the server doesn't: {detail}")
