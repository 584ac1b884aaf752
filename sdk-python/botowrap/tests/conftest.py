"""Sessions, tables and servers for all tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.session
import pytest

from botowrap.core import ExtensionManager
from botowrap.extensions.dynamodb import DynamoDBConfig, DynamoDBExtension
from tests.servers import FaultServer, dynamodb_local, moto_server

_numbers = itertools.count()

_loader = botocore.session.Session().get_component("data_loader")


def new_session() -> boto3.Session:
    """A session that shares nothing with others but the models, which are slow to load."""
    core = botocore.session.Session()
    core.register_component("data_loader", _loader)
    return boto3.Session(region_name="us-east-1", botocore_session=core)


@dataclass
class Backend:
    """A server, and what the tests make with it."""

    name: str
    url: str
    managers: list[ExtensionManager] = field(default_factory=list)

    def session(self, **config: Any) -> boto3.Session:
        """A session of its own, enhanced."""
        session = new_session()
        manager = ExtensionManager(session)
        manager.register(DynamoDBExtension(DynamoDBConfig(**config))).bootstrap()
        self.managers.append(manager)
        return session

    def client(self, **config: Any) -> Any:
        """An enhanced client."""
        return self.session(**config).client("dynamodb", endpoint_url=self.url)

    def plain_client(self) -> Any:
        return new_session().client("dynamodb", endpoint_url=self.url)

    def table(self, client: Any, *key: str) -> str:
        """A new table, with a key given as `id:S`."""
        name = f"Table{next(_numbers)}"
        parts = [part.split(":") for part in key or ("id:S",)]
        client.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": attribute, "KeyType": kind}
                for (attribute, _), kind in zip(parts, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[
                {"AttributeName": attribute, "AttributeType": code} for attribute, code in parts
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        return name


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        for name in ("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def _no_default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="session", params=["moto", "dynamodb-local"])
def _server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        start = moto_server if request.param == "moto" else dynamodb_local
        yield request.param, stack.enter_context(start())


@pytest.fixture
def backend(_server: tuple[str, str]) -> Iterator[Backend]:
    """Each test that asks for it runs against moto and against DynamoDB Local."""
    made = Backend(*_server)
    yield made
    for manager in made.managers:
        manager.teardown()


@pytest.fixture(scope="session")
def _plain(_server: tuple[str, str]) -> Any:
    return new_session().client("dynamodb", endpoint_url=_server[1])


@pytest.fixture
def plain(_plain: Any) -> Any:
    """A client as boto3 makes it."""
    return _plain


@pytest.fixture
def client(backend: Backend) -> Any:
    """An enhanced client with the defaults."""
    return backend.client()


@pytest.fixture
def table(backend: Backend, plain: Any) -> str:
    """A new table with the key `id`."""
    return backend.table(plain, "id:S")


@pytest.fixture
def faults() -> Iterator[FaultServer]:
    server = FaultServer()
    yield server
    server.stop()


@pytest.fixture
def faulty(faults: FaultServer) -> Iterator[Backend]:
    """As `backend`, with a server that fails as the test says."""
    made = Backend("faults", faults.url)
    yield made
    for manager in made.managers:
        manager.teardown()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for; none of them is waited."""
    asked: list[float] = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked
