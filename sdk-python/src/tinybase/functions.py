"""Functions of an extension that API clients call at `POST /api/functions/{name}`."""

from __future__ import annotations

from tinybase import _registry
from tinybase._context import Context, current_context
from tinybase._registry import Function
from tinybase._signature import check, milliseconds, no_such_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Any, TypeVar

    from tinybase.utils import AuthLevel

    Handler = TypeVar("Handler", bound=Callable[..., object])

__all__ = ["Context", "current_context", "register"]

_OPTIONS = ("name", "description", "auth", "input_model", "output_model", "tags", "timeout")
_AUTH_LEVELS = ("public", "auth", "admin")


def register(
    name: str,
    description: str | None = None,
    auth: str | AuthLevel = "auth",
    input_model: Any = None,  # noqa: ANN401 - a pydantic model's class, or a dict
    output_model: Any = None,  # noqa: ANN401 - the same
    tags: Iterable[str] | None = None,
    *,
    timeout: timedelta | None = None,
    **unknown: object,
) -> Callable[[Handler], Handler]:
    """Makes a function callable for API clients.

    Args:
        name: Its name: letters, digits, `_`, `-` and `.`.
        description: What it does, for people; the first line of its docstring unless given.
        auth: Who may call it: "public", "auth" (whoever is logged in) or "admin".
        input_model: A pydantic model that the payload is checked against and made into, or a
            JSON Schema as a dict, which the server checks. Without one any object is taken; a
            parameter annotated with a pydantic model counts as one.
        output_model: The same for the result.
        tags: Words to group functions by.
        timeout: How long a call may take; the server's default unless given.
        unknown: Nothing else; a wrong name is answered with the nearest right one.
    """
    if unknown:
        raise no_such_keyword("register", unknown, _OPTIONS)
    if not isinstance(name, str):
        raise TypeError(f"@register needs the function's name: @register(name=…), not {name!r}")
    if not name or not all(c.isascii() and (c.isalnum() or c in "_-.") for c in name):
        raise ValueError(f"{name!r} is not a function name: use letters, digits, '_', '-' and '.'")
    level = str(getattr(auth, "value", auth))
    if level not in _AUTH_LEVELS:
        raise ValueError(f"{name}: auth is one of {', '.join(_AUTH_LEVELS)}, not {auth!r}")
    if isinstance(tags, str):
        raise TypeError(f"{name}: tags is a list of words, not one word: [{tags!r}]")

    def decorate(function: Handler) -> Handler:
        check(function, "register", ("ctx", "payload"))
        entry = Function(name, function)
        entry.description = description or _first_line(function)
        entry.auth = level
        entry.input_model = input_model or _annotated_model(function, _second_parameter(function))
        entry.output_model = output_model or _annotated_model(function, "return")
        entry.tags = [*tags] if tags else []
        entry.timeout_ms = milliseconds("register", timeout)
        for model in (entry.input_model, entry.output_model):
            _check_model(name, model)
        _registry.active().add_function(entry)
        return function

    return decorate


def _first_line(function: object) -> str:
    text = (getattr(function, "__doc__", None) or "").strip()
    return text.partition("\n")[0].strip()


def _second_parameter(function: object) -> str:
    code = getattr(function, "__code__", None)
    bound = 1 if getattr(function, "__self__", None) is not None else 0
    if code is None or code.co_argcount < 2 + bound:
        return ""
    return str(code.co_varnames[1 + bound])


def _annotated_model(function: object, parameter: str) -> Any:  # noqa: ANN401 - a class or none
    """The pydantic model that a parameter is annotated with, if it is one."""
    annotation = getattr(function, "__annotations__", {}).get(parameter)
    if isinstance(annotation, str):
        annotation = getattr(function, "__globals__", {}).get(annotation)
    return annotation if hasattr(annotation, "model_json_schema") else None


def _check_model(name: str, model: object) -> None:
    is_model = isinstance(model, dict) or hasattr(model, "model_json_schema")
    if model is not None and not is_model:
        raise TypeError(
            f"{name}: a model is a pydantic model's class or a JSON Schema as a dict, not {model!r}"
        )
