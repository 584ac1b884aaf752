"""What can be chosen, and what is said about a wrong choice."""

import importlib
import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from conftest import EXTENSION


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXTENSION))
    sys.modules.pop("settings", None)
    return importlib.import_module("settings")


def test_the_manifest_as_it_is_needs_nothing(module: Any) -> None:
    found = module.load(environment={})
    assert (found.table, found.collections, found.auth) == ("tinybase", (), "admin")
    assert found == module.read({"table": "tinybase"}, {}), "what is written there is the default"


def test_the_environment_wins(module: Any) -> None:
    variables = {
        "DYNAMODB_MIRROR_COLLECTIONS": "orders, people",
        "DYNAMODB_MIRROR_CREATE_TABLE": "TRUE",
        "DYNAMODB_MIRROR_TOMBSTONE_DAYS": "7",
        "DYNAMODB_MIRROR_SORT_KEY": "",
        "DYNAMODB_MIRROR_PARTITION_VALUE": "{id}",
        "DYNAMODB_MIRROR_PARTITION_KEY": "id",
    }
    found = module.load(environment=variables)
    assert found.collections == ("orders", "people")
    assert found.create_table
    assert found.tombstone_life == timedelta(days=7)
    assert found.layout.keys == [module.Key("id", "{id}")]


def test_every_setting_can_come_from_the_environment(module: Any) -> None:
    manifest = (EXTENSION / "extension.toml").read_text()
    for key in module._KINDS:
        assert f'"{module.PREFIX}{key.upper()}"' in manifest, key


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "no table"),
        ({"tabel": "x"}, "did you mean 'table'"),
        ({"table": 5}, "table is 5; it must be text"),
        ({"table": "t", "collections": "orders"}, "must be a list of names"),
        ({"table": "t", "auth": "public"}, 'it must be "admin" or "auth"'),
        ({"table": "t", "tombstone_days": 0}, "it must be 1 to 3650"),
        ({"table": "t", "generation": -1}, "generation is -1"),
        ({"table": "t", "sort_value": "x"}, "must hold {id}"),
        ({"table": "t", "sort_key": "collection"}, "are both 'collection'"),
        ({"table": "t", "partition_value": "{data}"}, "made of {collection} and {id}"),
        ({"table": "t", "partition_value": "fixed"}, "made of {collection} and {id}"),
        ({"table": "t", "partition_key": "data"}, "can't be called 'data'"),
        ({"table": "t", "partition_value": "x{collection}"}, "can't be called 'collection'"),
        ({"table": "t", "indexed": ["owner_id"]}, "items use for something else"),
    ],
)
def test_a_wrong_choice_is_named(module: Any, config: dict[str, Any], message: str) -> None:
    with pytest.raises(module.SettingsError) as refused:
        module.read(config, {})
    assert message in str(refused.value)


def test_a_wrong_variable_is_named(module: Any) -> None:
    for name, value in (("TOMBSTONE_DAYS", "many"), ("CREATE_TABLE", "perhaps")):
        with pytest.raises(module.SettingsError, match=f"DYNAMODB_MIRROR_{name} is"):
            module.load(environment={f"DYNAMODB_MIRROR_{name}": value})
