"""Functions of an extension that API clients call at `POST /api/functions/{name}`."""

from __future__ import annotations

from tinybase import _registry
from tinybase._context import Context, current_context
from tinybase._registry import Function, Schedule
from tinybase._signature import check, milliseconds, no_such_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta
    from typing import Any, TypeVar

    from tinybase.utils import AuthLevel

    Handler = TypeVar("Handler", bound=Callable[..., object])

__all__ = ["Context", "current_context", "register", "schedule"]

_OPTIONS = (
    "name",
    "description",
    "auth",
    "input_model",
    "output_model",
    "tags",
    "timeout",
    "concurrency",
)
_AUTH_LEVELS = ("public", "auth", "admin")
_SCHEDULE_OPTIONS = (
    "cron",
    "every",
    "at",
    "timezone",
    "name",
    "input",
    "missed",
    "overlap",
    "timeout",
    "jitter",
)
_MISSED = ("skip", "run_once", "run_all")
_OVERLAP = ("skip", "queue", "allow")


def register(
    name: str,
    description: str | None = None,
    auth: str | AuthLevel = "auth",
    input_model: Any = None,  # noqa: ANN401 - a pydantic model's class, or a dict
    output_model: Any = None,  # noqa: ANN401 - the same
    tags: Iterable[str] | None = None,
    *,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    **unknown: object,
) -> Callable[[Handler], Handler]:
    """Makes a function callable for API clients.

    What a generator yields, `def` or `async def`, is sent to the client chunk by chunk. It rests at
    its `yield` while the client doesn't read, and is closed there once nobody wants the rest.

    Args:
        name: Its name: letters, digits, `_`, `-` and `.`.
        description: What it does, for people; the first line of its docstring unless given.
        auth: Who may call it: "public", "auth" (whoever is logged in) or "admin".
        input_model: A pydantic model that the payload is checked against and made into, or a
            JSON Schema as a dict, which the server checks. Without one any object is taken; a
            parameter annotated with a pydantic model counts as one.
        output_model: The same for the result; of a generator, for each value that it yields.
        tags: Words to group functions by.
        timeout: How long a call may take; the server's default unless given.
        concurrency: How many calls may run at a time on a server; further ones get a 429.
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
    if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
        raise TypeError(f"{name}: concurrency is a whole number above 0, not {concurrency!r}")

    def decorate(function: Handler) -> Handler:
        check(function, "register", ("ctx", "payload"), may_stream=True)
        entry = Function(name, function)
        entry.description = description or _first_line(function)
        entry.auth = level
        entry.input_model = input_model or _annotated_model(function, _second_parameter(function))
        entry.output_model = output_model or _annotated_model(function, "return")
        entry.tags = [*tags] if tags else []
        entry.timeout_ms = milliseconds("register", timeout)
        entry.concurrency = concurrency or 0
        for model in (entry.input_model, entry.output_model):
            _check_model(name, model)
        _registry.active().add_function(entry)
        return function

    return decorate


def schedule(
    *,
    cron: str | None = None,
    every: timedelta | None = None,
    at: datetime | None = None,
    timezone: str | None = None,
    name: str | None = None,
    input: dict[str, Any] | None = None,
    missed: str = "run_once",
    overlap: str = "skip",
    timeout: timedelta | None = None,
    jitter: timedelta | None = None,
    **unknown: object,
) -> Callable[[Handler], Handler]:
    """Has a registered function called by itself; put it beside `@register`.

    A run has no user; what it asks of the server, it asks for the extension.

    Args:
        cron: A cron pattern of five fields, such as "0 2 * * *", or six with seconds first.
        every: How far apart its runs are; whole seconds.
        at: When it runs once; the time on the clock of `timezone`.
        timezone: Where the clock hangs, such as "Europe/Berlin"; the server's unless given.
        name: The schedule's name; the function's unless given.
        input: The payload; {} unless given.
        missed: For ticks while nobody could run them: "skip", "run_once" or "run_all".
        overlap: For ticks while an earlier run goes on: "skip", "queue" or "allow".
        timeout: How long a run may take; the function's own time unless given.
        jitter: By how much a run is delayed at most.
        unknown: Nothing else; a wrong name is answered with the nearest right one.
    """
    if unknown:
        raise no_such_keyword("schedule", unknown, _SCHEDULE_OPTIONS)
    timing = _timing(cron, every, at, timezone)
    for word, value, known in (("missed", missed, _MISSED), ("overlap", overlap, _OVERLAP)):
        if value not in known:
            raise ValueError(f"@schedule: {word} is one of {', '.join(known)}, not {value!r}")

    def decorate(function: Handler) -> Handler:
        from tinybase._json import dumps

        entry = Schedule(function, dumps(timing))
        entry.name = name or ""
        entry.input = dumps(input) if input else ""
        entry.missed = missed
        entry.overlap = overlap
        entry.timeout_ms = milliseconds("schedule", timeout)
        entry.jitter_ms = milliseconds("schedule", jitter)
        _registry.active().schedules.append(entry)
        return function

    return decorate


def _timing(
    cron: str | None, every: timedelta | None, at: datetime | None, timezone: str | None
) -> dict[str, Any]:
    """When, in the shape that the server reads."""
    if [cron, every, at].count(None) != 2:
        raise TypeError(
            '@schedule needs one of cron="0 2 * * *", every=timedelta(…), at=datetime(…)'
        )
    timing: dict[str, Any] = {}
    if cron is not None:
        timing = {"method": "cron", "cron": cron}
    elif every is not None:
        seconds = every.total_seconds()
        if seconds < 1 or seconds != int(seconds):
            raise ValueError(f"@schedule: every is whole seconds, at least one, not {every!r}")
        timing = {"method": "interval", "unit": "seconds", "value": int(seconds)}
    elif at is not None:
        if at.tzinfo is not None:
            raise ValueError("@schedule: at is a time without a zone; name the zone in timezone=…")
        moment = at.replace(microsecond=0)
        timing = {
            "method": "once",
            "date": moment.date().isoformat(),
            "time": moment.time().isoformat(),
        }
    if timezone is not None:
        timing["timezone"] = timezone
    return timing


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
