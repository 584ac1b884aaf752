"""Y1: the added methods type-check in users' code, and the stated types are the real ones."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import botowrap.errors
import botowrap.extensions.dynamodb
import botowrap.supervised
import botowrap.types
from botowrap.extensions.dynamodb import _async_methods, _methods
from botowrap.types import AsyncEnhancedDynamoDBClient, EnhancedDynamoDBClient
from tests.conftest import new_session

SOURCE = Path(__file__).parents[1] / "src"

USER_CODE = """
from decimal import Decimal
from typing import Any

from botowrap import DynamoDBConfig, DynamoDBExtension, ExtensionManager
from botowrap.extensions.dynamodb import enhance, enhance_async
from botowrap.types import EnhancedDynamoDBClient


def use(plain: Any) -> int:
    ExtensionManager().register(DynamoDBExtension(DynamoDBConfig(numbers="native"))).bootstrap()
    client: EnhancedDynamoDBClient = enhance(plain)
    client.put_item(TableName="t", Item={"id": "a", "n": Decimal(1)})
    items: list[dict[str, Any]] = client.scan_all(TableName="t")["Items"]
    found = client.query_iter(TableName="t", max_items=3)
    token: str | None = found.resume_token
    for item in found:
        item["id"]
    client.batch_write_all(RequestItems={"t": [{"DeleteRequest": {"Key": {"id": "a"}}}]})
    client.put_all(TableName="t", Items=({"id": str(n)} for n in range(3)))
    with client.transaction() as actions:
        actions.put(TableName="t", Item={"id": "a"}).delete(TableName="t", Key={"id": "b"})
    won: bool = client.put_if_newer(TableName="t", Item={"id": "a", "Version": 1})
    return len(items) + len(token or "") + won


async def use_async(plain: Any) -> None:
    client = enhance_async(plain)
    await client.scan_all(TableName="t")
    async for item in client.scan_iter(TableName="t"):
        item["id"]
    async with client.transaction() as actions:
        actions.put(TableName="t", Item={"id": "a"})
"""

WRONG_CODE = """
from botowrap.types import EnhancedDynamoDBClient


def use(client: EnhancedDynamoDBClient) -> None:
    client.scan_everything(TableName="t")
    client.scan_all(TableName=5)
    number: int = client.put_if_newer(TableName="t", Item={}) + "a"
"""


def check(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy")
    file = folder / "user.py"
    file.write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "user.py"]
    return subprocess.run(
        command,
        cwd=folder,
        env={"MYPYPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_y1_code_that_calls_the_added_methods_is_strictly_typed(tmp_path: Path) -> None:
    checked = check(tmp_path, USER_CODE)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_y1_wrong_calls_are_found(tmp_path: Path) -> None:
    checked = check(tmp_path, WRONG_CODE)
    for line in (6, 7, 8):
        assert f"user.py:{line}: error" in checked.stdout


@pytest.mark.parametrize(
    ("stated", "real"),
    [
        (EnhancedDynamoDBClient, (_methods.PageMethods, _methods.WriteMethods)),
        (
            AsyncEnhancedDynamoDBClient,
            (_async_methods.AsyncPageMethods, _async_methods.AsyncWriteMethods),
        ),
    ],
)
def test_y1_stated_and_real_methods_agree(stated: Any, real: tuple[type, ...]) -> None:
    for holder in real:
        for name, method in inspect.getmembers(holder, inspect.isfunction):
            if name.startswith("_"):
                continue
            promised = getattr(stated, name)
            assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(promised)
            real_names = set(inspect.signature(method).parameters)
            assert real_names <= set(inspect.signature(promised).parameters) | {"kwargs"}, name


def test_y1_every_operation_of_the_pinned_boto3_is_stated() -> None:
    operations = new_session().client("dynamodb").meta.method_to_api_mapping
    for name in operations:
        assert hasattr(EnhancedDynamoDBClient, name), name
        assert hasattr(AsyncEnhancedDynamoDBClient, name), name


@pytest.mark.parametrize(
    "module",
    [botowrap, botowrap.errors, botowrap.extensions.dynamodb, botowrap.supervised, botowrap.types],
)
def test_public_names_are_sorted_and_there(module: Any) -> None:
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_sentence_has_a_test() -> None:
    counts = {"s": 19, "t": 10, "p": 6, "r": 7, "l": 4, "f": 15, "c": 3, "y": 1, "e": 1}
    wanted = {f"test_{kind}{n}_" for kind, count in counts.items() for n in range(1, count + 1)}
    text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert [sentence for sentence in sorted(wanted) if f"def {sentence}" not in text] == []
