"""A table, and the extension over it, without a server."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tinybase.testing import Harness

EXTENSION = Path(__file__).parents[1]
TABLE = "mirror"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> Callable[..., None]:
    """Sets variables as an operator would."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")

    def set_variables(**variables: str) -> None:
        usual = {"table": TABLE, "region": "us-east-1", "endpoint": endpoint}
        chosen = {**usual, "collections": "orders,people", "create_table": "true", **variables}
        for name, value in chosen.items():
            monkeypatch.setenv(f"DYNAMODB_MIRROR_{name.upper()}", value)

    return set_variables


class Mirrored:
    """The extension, and the table that it writes."""

    def __init__(self, endpoint: str) -> None:
        self.harness = Harness(EXTENSION)
        self.client: Any = boto3.client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        for name in ("orders", "people", "others"):
            self.harness.server.add_collection(name)

    def rows(self) -> dict[str, Any]:
        """What the table holds, by id, in DynamoDB's own form."""
        rows = self.client.scan(TableName=TABLE)["Items"]
        return {row["id"]["S"]: row for row in rows}

    def living(self) -> dict[str, Any]:
        """The same without tombstones, as the records' data."""
        return {id: row["data"]["M"] for id, row in self.rows().items() if "_deleted" not in row}

    def version(self, id: UUID) -> int:
        """An item's version."""
        return int(self.rows()[str(id)]["_version"]["N"])


@pytest.fixture
def mirrored(environment: Callable[..., None], endpoint: str) -> Iterator[Mirrored]:
    environment()
    yield from mirror(endpoint)


def mirror(endpoint: str) -> Iterator[Mirrored]:
    made = Mirrored(endpoint)
    try:
        with made.harness:
            assert made.harness.failures == []
            yield made
    finally:
        made.client.delete_table(TableName=TABLE)
