"""Frozen, slotted dataclasses that don't import `dataclasses` at start.

That import takes longer than the whole interpreter's start, since it brings `inspect` along, and
an extension needs it for nothing else. The classes made here are dataclasses all the same:
`dataclasses.fields`, `asdict`, `replace` and `is_dataclass` work, and import the module when they
are used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class _Fields:
    """What `dataclasses` looks for on a class, made when it looks."""

    def __init__(self, defaults: dict[str, Any]) -> None:
        self._defaults = defaults

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        import dataclasses
        import typing
        from datetime import datetime
        from uuid import UUID

        names = {"UUID": UUID, "datetime": datetime, "Any": typing.Any}
        hints = typing.get_type_hints(owner, names)
        columns = [
            (name, hints[name], dataclasses.field(default=self._defaults[name]))
            if name in self._defaults
            else (name, hints[name])
            for name in owner.__slots__  # type: ignore[attr-defined]
        ]
        twin = dataclasses.make_dataclass(owner.__name__, columns, frozen=True, slots=True)
        fields: dict[str, Any] = twin.__dataclass_fields__  # type: ignore[attr-defined]
        # From here on the class has the plain attribute.
        type.__setattr__(owner, "__dataclass_fields__", fields)
        return fields


def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
    """Makes a class what `@dataclasses.dataclass(frozen=True, slots=True)` makes it."""
    if not (frozen and slots):
        raise TypeError("only frozen and slotted dataclasses are made here")
    return _build


def _build(cls: type) -> type:
    names = tuple(cls.__annotations__)
    body = dict(cls.__dict__)
    defaults = {name: body.pop(name) for name in names if name in body}
    for name in ("__dict__", "__weakref__"):
        body.pop(name, None)
    body |= {
        "__slots__": names,
        "__match_args__": names,
        "__dataclass_fields__": _Fields(defaults),
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
        "__eq__": _equal,
        "__hash__": _hash,
        "__repr__": _repr,
        "__reduce__": _reduce,
    }
    built = type(cls)(cls.__name__, cls.__bases__, body)
    type.__setattr__(built, "__init__", _initialiser(built, names, defaults))
    return built


def _initialiser(cls: type, names: tuple[str, ...], defaults: dict[str, Any]) -> Any:  # noqa: ANN401 - a function whose signature is made here
    parameters = ", ".join(f"{n}=_default_{n}" if n in defaults else n for n in names)
    statements = "".join(f"\n _set_{name}(self, {name})" for name in names)
    scope: dict[str, Any] = {f"_set_{name}": getattr(cls, name).__set__ for name in names}
    scope |= {f"_default_{name}": value for name, value in defaults.items()}
    exec(f"def __init__(self, {parameters}):{statements}", scope)
    initialiser = scope["__init__"]
    initialiser.__qualname__ = f"{cls.__qualname__}.__init__"
    initialiser.__module__ = cls.__module__
    return initialiser


def _values(instance: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any class made here
    return tuple(getattr(instance, name) for name in instance.__slots__)


def _refuse_to_set(instance: object, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(instance: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _equal(instance: object, other: object) -> bool:
    if other.__class__ is not instance.__class__:
        return NotImplemented  # type: ignore[no-any-return]
    return bool(_values(instance) == _values(other))


def _hash(instance: object) -> int:
    return hash(_values(instance))


def _repr(instance: object) -> str:
    names: tuple[str, ...] = instance.__slots__  # type: ignore[attr-defined]
    fields = ", ".join(f"{name}={getattr(instance, name)!r}" for name in names)
    return f"{instance.__class__.__qualname__}({fields})"


def _reduce(instance: object) -> tuple[type, tuple[Any, ...]]:
    return (instance.__class__, _values(instance))
