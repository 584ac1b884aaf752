"""What the operator chose: `[extension.config]`, and variables of the environment above it."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from string import Formatter
from typing import Any

PREFIX = "DYNAMODB_MIRROR_"
ALL = "*"

# The attributes of an item; those with an underscore are the mirror's own.
VERSION = "_version"
DELETED = "_deleted"
EXPIRES_AT = "_expires_at"
RECORD = ("collection", "id", "owner_id", "data", "created_at", "updated_at")
RESERVED = frozenset({*RECORD, VERSION, DELETED, EXPIRES_AT})


class SettingsError(ValueError):
    """A setting that can't be used; the message says which, and what to do."""


@dataclass(frozen=True)
class Key:
    """One of the table's keys: an attribute, and the template of its value."""

    name: str
    template: str

    def value(self, collection: str, id: str) -> str:
        """The key of a record."""
        return self.template.format(collection=collection, id=id)


@dataclass(frozen=True)
class Layout:
    """Where a record stands in the table, and what stands beside its data."""

    partition: Key = Key("collection", "{collection}")
    sort: Key | None = Key("id", "{id}")
    indexed: tuple[str, ...] = ()

    @property
    def keys(self) -> list[Key]:
        """One or two."""
        return [self.partition] if self.sort is None else [self.partition, self.sort]

    def check(self) -> None:
        """Refuses a layout that could put two records, or two values, into one place."""
        if not any("{id}" in key.template for key in self.keys):
            raise SettingsError("partition_value or sort_value must hold {id}")
        if self.sort is not None and self.sort.name == self.partition.name:
            raise SettingsError(f"partition_key and sort_key are both {self.sort.name!r}")
        for key in self.keys:
            found = {name for _, name, _, _ in Formatter().parse(key.template) if name is not None}
            if not found or not found <= {"collection", "id"}:
                raise SettingsError(
                    f"the value of {key.name} is {key.template!r}; it must be made of "
                    "{collection} and {id}, which never change for a record"
                )
            if key.name in RESERVED and key.template != f"{{{key.name}}}":
                raise SettingsError(f"a key can't be called {key.name!r}: records use that name")
        taken = RESERVED | {key.name for key in self.keys}
        for name in self.indexed:
            if name in taken:
                raise SettingsError(f"indexed has {name!r}, which items use for something else")


@dataclass(frozen=True)
class Settings:
    """All that can be chosen."""

    table: str
    region: str | None = None
    endpoint: str | None = None
    collections: tuple[str, ...] = ()
    create_table: bool = False
    layout: Layout = field(default_factory=Layout)
    tombstone_life: timedelta = timedelta(days=30)
    generation: int = 0
    tables: tuple[str, ...] = ()
    auth: str = "admin"

    def mirrors(self, collection: str) -> bool:
        """Whether a collection is mirrored."""
        return ALL in self.collections or collection in self.collections


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads the settings.

    Hooks are registered while the extension is imported, so they are needed before there is a
    session that could hand them over; the server starts an extension only if its manifest is the
    one that was installed.
    """
    manifest = Path(__file__).with_name("extension.toml").read_text()
    return read(tomllib.loads(manifest)["extension"].get("config", {}), environment)


def read(config: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Makes settings of a configuration and an environment."""
    for key in config:
        if key not in _KINDS:
            near = difflib.get_close_matches(key, _KINDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KINDS)}"
            raise SettingsError(f"[extension.config] has {key!r}, which is nothing; {hint}")
    values = {
        key: _from_text(key, kind, environment[PREFIX + key.upper()])
        if PREFIX + key.upper() in environment
        else _checked(key, kind, config.get(key, default))
        for key, (kind, default) in _KINDS.items()
    }
    return _settings(values)


_KINDS: dict[str, tuple[type, Any]] = {
    "table": (str, ""),
    "region": (str, ""),
    "endpoint": (str, ""),
    "collections": (list, []),
    "create_table": (bool, False),
    "partition_key": (str, "collection"),
    "partition_value": (str, "{collection}"),
    "sort_key": (str, "id"),
    "sort_value": (str, "{id}"),
    "indexed": (list, []),
    "tombstone_days": (int, 30),
    "generation": (int, 0),
    "tables": (list, []),
    "auth": (str, "admin"),
}


def _settings(values: dict[str, Any]) -> Settings:
    if not values["table"]:
        raise SettingsError(f"no table: set table in [extension.config], or {PREFIX}TABLE")
    if values["auth"] not in ("admin", "auth"):
        raise SettingsError(f'auth is {values["auth"]!r}; it must be "admin" or "auth"')
    if not 1 <= values["tombstone_days"] <= 3650:
        raise SettingsError(f"tombstone_days is {values['tombstone_days']}; it must be 1 to 3650")
    if not 0 <= values["generation"] <= 1_000_000:
        raise SettingsError(f"generation is {values['generation']}; it must be 0 to 1,000,000")
    sort = Key(values["sort_key"], values["sort_value"]) if values["sort_key"] else None
    partition = Key(values["partition_key"], values["partition_value"])
    layout = Layout(partition, sort, tuple(values["indexed"]))
    layout.check()
    return Settings(
        table=values["table"],
        region=values["region"] or None,
        endpoint=values["endpoint"] or None,
        collections=tuple(values["collections"]),
        create_table=values["create_table"],
        layout=layout,
        tombstone_life=timedelta(days=values["tombstone_days"]),
        generation=values["generation"],
        tables=tuple(values["tables"]),
        auth=values["auth"],
    )


def _checked(key: str, kind: type, value: Any) -> Any:
    fits = type(value) is kind
    if kind is list:
        fits = fits and all(isinstance(one, str) and one for one in value)
    if not fits:
        name = {str: "text", list: "a list of names", bool: "true or false", int: "a number"}[kind]
        raise SettingsError(f"[extension.config] {key} is {value!r}; it must be {name}")
    return value


def _from_text(key: str, kind: type, text: str) -> Any:
    if kind is list:
        return [name.strip() for name in text.split(",") if name.strip()]
    if kind is bool and text.lower() in ("true", "1", "false", "0"):
        return text.lower() in ("true", "1")
    if kind is int and text.isdecimal():
        return int(text)
    if kind is str:
        return text
    name = "true or false" if kind is bool else "a number"
    raise SettingsError(f"{PREFIX}{key.upper()} is {text!r}; it must be {name}")
