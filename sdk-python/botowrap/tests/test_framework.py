"""F1 to F15 and C1 to C3: extensions, their manager, and the configuration."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import Any

import boto3
import pytest

import botowrap
from botowrap.core import BaseExtension, ExtensionManager
from botowrap.errors import AlreadyAttachedError, AttachError, DetachError, RegistrationError
from botowrap.extensions.dynamodb import (
    DynamoDBConfig,
    DynamoDBDocumentClient,
    DynamoDBDocumentExtension,
    DynamoDBExtension,
    enhance,
)
from tests.conftest import Backend, new_session
from tests.servers import FaultServer


def handlers(holder: Any) -> int:
    """How many handlers a session or a client has."""
    events = getattr(holder, "events", None) or holder.meta.events
    emitter = getattr(events, "_emitter", events)

    def count(node: Any) -> int:
        value = node.get("values")
        own = len(value.first) + len(value.middle) + len(value.last) if value else 0
        return own + sum(count(child) for child in node.get("children", {}).values())

    total: int = count(emitter._handlers._root)
    return total


def enhanced(**config: Any) -> DynamoDBExtension:
    return DynamoDBExtension(DynamoDBConfig(**config))


class Recorder(BaseExtension):
    """Writes down what happens to it."""

    def __init__(self, name: str, log: list[str], *, failing: str = "") -> None:
        self.name, self.log, self.failing = name, log, failing

    def attach(self, session: boto3.Session) -> None:
        self._do("attach")

    def detach(self, session: boto3.Session) -> None:
        self._do("detach")

    def _do(self, what: str) -> None:
        self.log.append(f"{what} {self.name}")
        if what == self.failing:
            raise RuntimeError(f"no {what} for {self.name}")


def test_the_public_surface_is_the_documented_one() -> None:
    names = ["BaseExtension", "DynamoDBConfig", "DynamoDBExtension", "ExtensionManager"]
    assert sorted(botowrap.__all__) == names
    assert botowrap.__version__ == "0.1.1"
    assert DynamoDBDocumentExtension is DynamoDBExtension
    assert DynamoDBExtension.SERVICE == "dynamodb"


def test_f1_the_base_attaches_nothing() -> None:
    for method in ("attach", "detach"):
        with pytest.raises(NotImplementedError):
            getattr(BaseExtension(), method)(new_session())


def test_f2_extensions_attach_in_the_order_of_their_registration() -> None:
    log: list[str] = []
    manager = ExtensionManager(new_session())
    manager.register(Recorder("a", log)).register(Recorder("b", log)).bootstrap()
    assert log == ["attach a", "attach b"]


def test_f3_boto3s_own_client_function_is_enhanced(faults: FaultServer) -> None:
    assert boto3.DEFAULT_SESSION is None
    manager = ExtensionManager()
    manager.register(enhanced())
    manager.bootstrap()
    assert manager.session is boto3.DEFAULT_SESSION
    client: Any = boto3.client("dynamodb", endpoint_url=faults.url)
    client.put_item(TableName="t", Item={"id": "a"})
    assert faults.requests[0][1]["Item"]["id"] == {"S": "a"}
    assert ExtensionManager().session is manager.session
    manager.teardown()


def test_f4_only_the_given_session_is_enhanced() -> None:
    session, other = new_session(), new_session()
    ExtensionManager(session=session).register(enhanced()).bootstrap()
    assert hasattr(session.client("dynamodb"), "scan_all")
    assert not hasattr(other.client("dynamodb"), "scan_all")
    assert boto3.DEFAULT_SESSION is None


def test_f5_teardown_unhooks_new_and_living_clients(faults: FaultServer) -> None:
    session = new_session()
    bare = handlers(session)
    plain = handlers(new_session().client("dynamodb", endpoint_url=faults.url))
    plain_resource = handlers(
        new_session().resource("dynamodb", endpoint_url=faults.url).meta.client
    )
    manager = ExtensionManager(session).register(enhanced()).bootstrap()
    client: Any = session.client("dynamodb", endpoint_url=faults.url)
    resource: Any = session.resource("dynamodb", endpoint_url=faults.url)
    assert handlers(session) > bare
    assert handlers(client) == plain + 4
    manager.teardown()
    assert handlers(session) == bare
    assert handlers(client) == plain
    assert handlers(resource.meta.client) == plain_resource
    assert not hasattr(session.client("dynamodb"), "scan_all")
    client.put_item(TableName="t", Item={"id": {"S": "a"}})
    assert faults.requests[0][1] == {"TableName": "t", "Item": {"id": {"S": "a"}}}


def test_f5_clients_and_sessions_are_not_kept_alive() -> None:
    session = new_session()
    extension = enhanced()
    ExtensionManager(session).register(extension).bootstrap()
    client = weakref.ref(session.client("dynamodb"))
    gc.collect()
    assert client() is None
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None


class Mixin:
    made = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        type(self).made += 1


class OtherMixin:
    pass


class Adding(BaseExtension):
    """Adds a mixin in the way that the document shows."""

    SERVICE = "sts"

    def __init__(self, mixin: type) -> None:
        self.mixin = mixin

    def attach(self, session: boto3.Session) -> None:
        name = f"creating-client-class.{self.SERVICE}"
        session.events.register(name, self._attach_mixin, unique_id=str(id(self)))

    def detach(self, session: boto3.Session) -> None:
        name = f"creating-client-class.{self.SERVICE}"
        session.events.unregister(name, unique_id=str(id(self)))

    def _attach_mixin(
        self, class_attrs: dict[str, Any], base_classes: list[type], **_: Any
    ) -> None:
        assert "get_caller_identity" in class_attrs
        base_classes.insert(0, self.mixin)


def test_f6_both_spellings_of_the_event_reach_a_method() -> None:
    extension = Adding(Mixin)
    for spelling in ("class_attrs", "class_attributes"):
        bases: list[type] = [object]
        extension._attach_mixin(**{spelling: {"get_caller_identity": 1}}, base_classes=bases)
        assert bases == [Mixin, object]


def test_f7_a_mixins_constructor_runs_once_for_each_client() -> None:
    session = new_session()
    ExtensionManager(session).register(Adding(Mixin)).bootstrap()
    before = Mixin.made
    first, second = session.client("sts"), session.client("sts")
    assert isinstance(first, Mixin)
    assert (type(first).made, type(second).made) == (before + 1, before + 1)


def test_f8_the_last_mixin_is_the_first_and_none_overrides_an_operation() -> None:
    class Overriding:
        def get_caller_identity(self) -> str:
            return "never"

    session = new_session()
    manager = ExtensionManager(session)
    manager.register(Adding(Mixin)).register(Adding(OtherMixin)).register(Adding(Overriding))
    manager.bootstrap()
    client = session.client("sts")
    order = [base for base in type(client).__mro__ if base.__name__ not in ("ClientCreator",)]
    assert order[1:4] == [Overriding, OtherMixin, Mixin]
    assert type(client).get_caller_identity is not Overriding.get_caller_identity


class For(Recorder):
    SERVICE: Any = None


@pytest.mark.parametrize("service", ["logs", "cloudwatch-logs", "sts", "dynamodb", None])
def test_f9_names_and_aliases_of_services_are_known(service: Any) -> None:
    extension = For("a", [])
    extension.SERVICE = service
    ExtensionManager(new_session()).register(extension)


def test_f9_an_unknown_service_is_refused_with_the_nearest() -> None:
    extension = For("a", [])
    extension.SERVICE = "dynamo-db"
    with pytest.raises(RegistrationError, match=r"For\.SERVICE is 'dynamo-db'.*'dynamodb'\?"):
        ExtensionManager(new_session()).register(extension)
    extension.SERVICE = "0"
    with pytest.raises(RegistrationError, match="get_available_services"):
        ExtensionManager(new_session()).register(extension)


def test_f9_the_documents_stand_in_is_only_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    extension = For("a", [])
    extension.SERVICE = "xyz"
    ExtensionManager(new_session()).register(extension)
    assert "no AWS service" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_f10_a_second_configuration_is_an_error() -> None:
    session = new_session()
    first = ExtensionManager(session).register(enhanced()).bootstrap()
    second = ExtensionManager(session).register(enhanced(max_retries=1))
    with pytest.raises(AttachError, match=r"DynamoDBExtension: .*another configuration") as failed:
        second.bootstrap()
    assert isinstance(failed.value.exceptions[0], AlreadyAttachedError)
    assert hasattr(session.client("dynamodb"), "scan_all"), "the first one still rules"
    first.teardown()
    second.bootstrap()


def test_f10_an_equal_configuration_shares(faults: FaultServer) -> None:
    session = new_session()
    bare = handlers(session)
    first = ExtensionManager(session).register(enhanced()).bootstrap()
    second = ExtensionManager(session).register(enhanced()).bootstrap()
    client: Any = session.client("dynamodb", endpoint_url=faults.url)
    first.teardown()
    client.put_item(TableName="t", Item={"id": "a"})
    second.teardown()
    assert handlers(session) == bare


def test_f11_bootstrap_and_teardown_twice_change_nothing() -> None:
    session = new_session()
    log: list[str] = []
    manager = ExtensionManager(session).register(Recorder("a", log)).register(enhanced())
    manager.bootstrap().bootstrap()
    once = handlers(session)
    manager.teardown()
    manager.teardown()
    manager.bootstrap()
    assert handlers(session) == once
    assert log == ["attach a", "detach a", "attach a"]


def test_f12_one_that_fails_is_rolled_back_and_the_others_attach() -> None:
    log: list[str] = []
    manager = ExtensionManager(new_session())
    failing = Recorder("b", log, failing="attach")
    manager.register(Recorder("a", log)).register(failing).register(Recorder("c", log))
    message = "1 of 3 extensions did not attach: Recorder: no attach for b"
    with pytest.raises(AttachError, match=message):
        manager.bootstrap()
    assert log == ["attach a", "attach b", "detach b", "attach c"]
    failing.failing = ""
    log.clear()
    manager.bootstrap()
    assert log == ["attach b"], "only what is missing"


def test_f12_teardown_goes_on_in_reverse_and_reports() -> None:
    log: list[str] = []
    manager = ExtensionManager(new_session()).register(Recorder("a", log))
    manager.register(Recorder("b", log, failing="detach")).register(Recorder("c", log)).bootstrap()
    log.clear()
    with pytest.raises(DetachError, match="1 of 3 extensions did not detach: Recorder: no detach"):
        manager.teardown()
    assert log == ["detach c", "detach b", "detach a"]
    manager.teardown()


def test_f13_what_is_no_extension_is_refused_and_one_twice_counts_once() -> None:
    manager = ExtensionManager(new_session())
    refused: list[Any] = [42, None, Recorder]
    for wrong in refused:
        with pytest.raises(TypeError, match="not an extension"):
            manager.register(wrong)
    extension = Recorder("a", [])
    manager.register(extension).register(extension)
    assert manager._extensions == [extension]


def test_f14_a_manager_is_a_context() -> None:
    log: list[str] = []
    with ExtensionManager(new_session()).register(Recorder("a", log)):
        assert log == ["attach a"]
    assert log == ["attach a", "detach a"]
    failing = Recorder("b", log, failing="attach")
    broken = ExtensionManager(new_session()).register(Recorder("a", log)).register(failing)
    log.clear()
    with pytest.raises(AttachError), broken:
        pass
    assert log[-1] == "detach a", "nothing stays attached"


def test_f15_clients_of_before_stay_plain_and_can_be_enhanced_alone(faults: FaultServer) -> None:
    session = new_session()
    before: Any = session.client("dynamodb", endpoint_url=faults.url)
    plain = handlers(before)
    with ExtensionManager(session).register(enhanced()):
        assert not hasattr(before, "scan_all")
        after = session.client("dynamodb", endpoint_url=faults.url)
        assert enhance(after) is after
    document = DynamoDBDocumentClient(before)
    document.put_item(TableName="t", Item={"id": "a"})
    document.put_all(TableName="t", Items=[{"id": "a"}])
    assert document.scan_all(TableName="t")["Items"] == []
    assert faults.requests[0][1]["Item"]["id"] == {"S": "a"}
    assert (document.client, document.config) == (before, DynamoDBConfig())
    assert document.deserializer.deserialize(document.serializer.serialize([1])) == [1]
    document.detach()
    assert handlers(before) == plain


@pytest.mark.parametrize("when", ["before", "after"])
def test_f15_a_session_of_before_or_after_gets_it_all(
    backend: Backend, table: str, when: str
) -> None:
    session = new_session() if when == "before" else None
    extension = enhanced()
    elsewhere = ExtensionManager(new_session()).register(extension).bootstrap()
    session = session or new_session()
    with ExtensionManager(session).register(extension):
        client: Any = session.client("dynamodb", endpoint_url=backend.url)
        resource: Any = session.resource("dynamodb", endpoint_url=backend.url)
        client.put_item(TableName=table, Item={"id": "a"})
        resource.Table(table).put_item(Item={"id": "b"})
        assert client.scan_all(TableName=table)["Count"] == 2
    assert hasattr(elsewhere.session.client("dynamodb"), "scan_all"), "the other one keeps it"


def test_c1_the_given_configuration_rules_the_clients() -> None:
    config = DynamoDBConfig(max_retries=1)
    session = new_session()
    ExtensionManager(session).register(DynamoDBExtension(config)).bootstrap()
    client: Any = session.client("dynamodb")
    assert client._botowrap.config is config


def test_c2_the_configuration_is_frozen_and_checked() -> None:
    config: Any = DynamoDBConfig()
    with pytest.raises(AttributeError):
        config.max_retries = 10
    defaults = (config.max_retries, config.log_consumed, config.add_pagination)
    assert (*defaults, config.add_timestamps) == (5, True, True, True)
    assert DynamoDBConfig(1, False, False, False).add_timestamps is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_retries": -3}, "max_retries is -3"),
        ({"max_retries": "5"}, "max_retries is '5'"),
        ({"max_retries": True}, "max_retries is True"),
        ({"log_consumed": "yes"}, "log_consumed is 'yes'"),
        ({"numbers": "float"}, "'decimal' or 'native'"),
        ({"binary": "b"}, "'bytes' or 'binary'"),
        ({"timestamp_format": "rfc"}, "'seconds' or 'milliseconds' or 'iso8601'"),
        ({"created_at": ""}, "must name an attribute"),
        ({"created_at": "UpdatedAt"}, "both 'UpdatedAt'"),
    ],
)
def test_c2_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        DynamoDBConfig(**wrong)
    config: Any = {"max_retries": 5}
    with pytest.raises(TypeError, match="must be a DynamoDBConfig"):
        DynamoDBExtension(config)


def test_c3_a_default_session_is_everybodys_and_ones_own_is_not() -> None:
    with ExtensionManager().register(enhanced()):
        assert hasattr(boto3.client("dynamodb"), "scan_all"), "also in other people's code"
        assert not hasattr(new_session().client("dynamodb"), "scan_all")
