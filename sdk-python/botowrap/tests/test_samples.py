"""The document's samples run as printed, and so does every snippet of our own documents."""

from __future__ import annotations

import importlib.util
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import boto3
import pytest
from tinybase import _registry

from tests.conftest import Backend
from tests.servers import FaultServer
from tests.test_framework import handlers

ROOT = Path(__file__).parents[3]
SEED = ROOT / "tests/seeds/botowrap-extensions.rst"
DOCUMENTS = [
    Path(__file__).parents[1] / "README.md",
    *sorted((ROOT / "docs/botowrap").glob("*.md")),
]

SERVICE = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2020-01-01",
        "endpointPrefix": "xyz",
        "jsonVersion": "1.0",
        "protocol": "json",
        "protocols": ["json"],
        "serviceFullName": "XYZ",
        "serviceId": "xyz",
        "signatureVersion": "v4",
        "targetPrefix": "XYZ",
        "uid": "xyz-2020-01-01",
    },
    "operations": {"Ping": {"name": "Ping", "http": {"method": "POST", "requestUri": "/"}}},
    "shapes": {},
}


def seed_sample() -> str:
    """The document's code, word for word."""
    text = SEED.read_text()
    return textwrap.dedent(text[text.index(".. code-block:: python") :].split("\n", 1)[1])


@pytest.fixture
def _xyz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service of the name that the document's sample uses."""
    folder = tmp_path / "xyz/2020-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(SERVICE))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))


@pytest.mark.usefixtures("_xyz")
def test_f6_the_documents_extension_runs_as_printed(faults: FaultServer) -> None:
    cleaned: list[Any] = []
    plain = handlers(boto3.Session().client("xyz", endpoint_url=faults.url))  # type: ignore[call-overload]
    bare = handlers(boto3.Session())
    scope: dict[str, Any] = {"config": {"any": "thing"}}
    exec(compile(seed_sample(), str(SEED), "exec"), scope)
    manager = scope["mgr"]
    (extension,) = manager._extensions
    assert extension.config == {"any": "thing"}
    assert handlers(manager.session) == bare + 1

    client: Any = boto3.client("xyz", endpoint_url=faults.url)  # type: ignore[call-overload]
    assert type(client).__mro__[1] is scope["MyCustomMixin"]
    client.ping()
    assert faults.operations == ["Ping"]
    assert [known.meta for known in extension._client_instances] == [client.meta]

    extension._unregister_instance_handlers = lambda one: cleaned.append(one.meta)
    manager.teardown()
    assert cleaned == [client.meta], "the clean-up of the sample's detach has something to clean"
    assert handlers(manager.session) == bare
    assert handlers(client) == plain
    after = boto3.client("xyz", endpoint_url=faults.url)  # type: ignore[call-overload]
    assert scope["MyCustomMixin"] not in type(after).__mro__
    del client
    assert extension._client_instances == []


def test_f6_it_also_runs_where_there_is_no_such_service() -> None:
    exec(compile(seed_sample(), str(SEED), "exec"), {"config": None})


def test_every_feature_of_the_document_is_in_the_guide() -> None:
    text = SEED.read_text()
    promised = re.findall(r"^\* \*\*(.+?)\*\*:", text, re.MULTILINE)
    assert len(promised) == 5
    guide = (ROOT / "docs/botowrap/guide.md").read_text()
    for feature in promised:
        assert feature in guide


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_snippet_runs(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, document: Path
) -> None:
    """In one scope, from top to bottom, with the endpoint from the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", backend.url)
    users = backend.plain_client()
    key = {"AttributeName": "UserId", "AttributeType": "S"}
    users.create_table(
        TableName="Users",
        KeySchema=[{"AttributeName": "UserId", "KeyType": "HASH"}],
        AttributeDefinitions=[key],
        BillingMode="PAY_PER_REQUEST",
    )
    scope: dict[str, Any] = {"__name__": "__main__"}
    try:
        # What a snippet registers with the server's SDK goes with the test.
        with _registry.use(_registry.Registry()):
            for number, snippet in enumerate(snippets(document), start=1):
                if "aioboto3" in snippet and importlib.util.find_spec("aioboto3") is None:
                    continue
                exec(compile(snippet, f"{document.name} snippet {number}", "exec"), scope)
    finally:
        users.delete_table(TableName="Users")


def snippets(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def test_the_documents_have_snippets() -> None:
    assert [document.name for document in DOCUMENTS] == [
        "README.md",
        "api.md",
        "guide.md",
        "migration.md",
    ]
    assert all(snippets(document) for document in DOCUMENTS)
