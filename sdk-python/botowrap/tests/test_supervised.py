"""Inside an extension of TinyBase: the guide's own extension, run by the SDK's harness."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from tinybase import _registry
from tinybase.extensions import on_record_create
from tinybase.testing import Harness

from botowrap.core import BaseExtension, ExtensionManager
from botowrap.deadlines import deadline
from botowrap.extensions.dynamodb import DynamoDBConfig, DynamoDBExtension
from botowrap.supervised import invocation_deadline, supervise
from tests.conftest import Backend, new_session
from tests.servers import FaultServer, fault, fixed
from tests.test_framework import handlers
from tests.test_samples import ROOT, snippets


@pytest.fixture
def guide(backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Harness]:
    """The guide's extension in a process's stead, with its table."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", backend.url)
    code = snippets(ROOT / "docs/botowrap/guide.md")[-1]
    assert "supervise(" in code
    folder = tmp_path / "remember-users"
    folder.mkdir()
    (folder / "__init__.py").write_text(code)
    plain = backend.plain_client()
    plain.create_table(
        TableName="Users",
        KeySchema=[{"AttributeName": "UserId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "UserId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield Harness(folder)
    plain.delete_table(TableName="Users")


def test_the_guides_extension_mirrors_and_counts(guide: Harness) -> None:
    with guide:
        record = guide.create_record("users", {"email": "ada@example.org"})
        guide.create_record("users", {"email": "bob@example.org"})
        guide.create_record("orders", {"email": "not a user"})
        assert guide.failures == []
        assert guide.call("count_users") == {"count": 2}
    assert record.version == 1


def test_it_attaches_at_startup_and_detaches_at_shutdown() -> None:
    session = new_session()
    bare = handlers(session)
    registry = _registry.Registry()
    with _registry.use(registry):
        manager = supervise(ExtensionManager(session))
        manager.register(DynamoDBExtension(DynamoDBConfig()))
    assert handlers(session) == bare, "importing an extension attaches nothing"
    with Harness(registry) as harness:
        client: Any = session.client("dynamodb")
        assert hasattr(client, "scan_all")
        assert harness.failures == []
    assert handlers(session) == bare
    assert not client._botowrap.active


def test_what_does_not_attach_is_named_and_the_rest_is_used() -> None:
    class Broken(BaseExtension):
        def attach(self, session: boto3.Session) -> None:
            raise OSError("no such region")

        def detach(self, session: boto3.Session) -> None:
            pass

    session = new_session()
    registry = _registry.Registry()
    with _registry.use(registry):
        manager = supervise(ExtensionManager(session))
        manager.register(Broken()).register(DynamoDBExtension(DynamoDBConfig()))
    with Harness(registry) as harness:
        (failure,) = harness.failures
        assert "Broken: no such region" in failure.message
        assert hasattr(session.client("dynamodb"), "scan_all")


def test_a_throttled_handler_gives_up_in_time_for_the_event_to_come_again(
    faults: FaultServer, sleeps: list[float]
) -> None:
    faults.respond = fixed(fault("ThrottlingException"))
    session = new_session()
    registry = _registry.Registry()
    until: list[datetime | None] = []
    with _registry.use(registry):
        manager = supervise(ExtensionManager(session))
        # Retries that would take longer than any hook may.
        config = DynamoDBConfig(max_retries=1000, deadline=invocation_deadline)
        manager.register(DynamoDBExtension(config))

        def put(event: Any) -> None:
            until.append(invocation_deadline())
            client: Any = session.client("dynamodb", endpoint_url=faults.url)
            with deadline(timedelta(seconds=0.15)):
                client.put_item(TableName="t", Item={"id": str(event.record_id)})

        on_record_create(put)

    with Harness(registry) as harness:
        harness.create_record("users", {})
        (failure,) = harness.failures
    assert failure.error_type == "ThrottlingException"
    assert len(faults.requests) <= 2
    (known,) = until
    # The harness has a clock of its own, and gives a hook thirty seconds.
    assert known == harness.server.clock.now + timedelta(seconds=29)
    assert known < datetime.now(UTC)


def test_there_is_no_deadline_outside_of_handlers() -> None:
    assert invocation_deadline() is None
