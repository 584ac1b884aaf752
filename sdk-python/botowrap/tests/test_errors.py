"""E1 and bad input: clear errors, arguments untouched, nothing half-written."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from botowrap.errors import NotEnhancedError
from botowrap.extensions.dynamodb import DynamoDBConfig, DynamoDBDocumentClient, enhance_async
from tests.conftest import Backend, new_session
from tests.servers import FaultServer, fault, fixed


def test_e1_botocores_exceptions_pass_through(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException) as failed:
        client.get_item(TableName="nowhere", Key={"id": "a"})
    assert type(failed.value) is client.exceptions.ResourceNotFoundException
    assert failed.value.operation_name == "GetItem"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.scan_all(TableName="nowhere")


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_expired_credentials_are_told_at_once(
    faulty: Backend, faults: FaultServer, sleeps: list[float], code: str
) -> None:
    faults.respond = fixed(fault(code))
    item = {"id": "a", "s": {1}}
    before = copy.deepcopy(item)
    with pytest.raises(ClientError, match=code):
        faulty.client().put_item(TableName="t", Item=item)
    assert (len(faults.requests), sleeps, item) == (1, [], before)


def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch, faulty: Backend) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NoCredentialsError):
        faulty.client().get_item(TableName="t", Key={"id": "a"})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("put_item", {"Item": ["not", "a", "map"]}),
        ("put_item", {"Item": None}),
        ("get_item", {"Key": "a"}),
        ("update_item", {"Key": None, "UpdateExpression": 5}),
        ("batch_write_item", {"RequestItems": {"t": "x"}}),
        ("batch_write_item", {"RequestItems": {"t": [{"PutRequest": 1}]}}),
        ("transact_write_items", {"TransactItems": [1]}),
        ("get_item", {"Key": {"id": "a"}, "Nonsense": 1}),
    ],
)
def test_arguments_of_a_wrong_shape_meet_botocores_validation(
    faulty: Backend, faults: FaultServer, method: str, params: dict[str, Any]
) -> None:
    if "batch" not in method and "transact" not in method:
        params = {"TableName": "t", **params}
    with pytest.raises(ParamValidationError):
        getattr(faulty.client(), method)(**params)
    assert faults.requests == []


def test_an_unknown_error_code_is_still_an_error(faulty: Backend, faults: FaultServer) -> None:
    faults.respond = fixed(fault("NeverHeardOfException"))
    with pytest.raises(ClientError, match="NeverHeardOf"):
        faulty.client().scan(TableName="t")


def test_a_client_cannot_be_enhanced_in_two_ways(faulty: Backend) -> None:
    client = faulty.client()
    assert DynamoDBDocumentClient(client).config is client._botowrap.config
    with pytest.raises(NotEnhancedError, match="another configuration"):
        DynamoDBDocumentClient(client, DynamoDBConfig(max_retries=1))
    with pytest.raises(NotEnhancedError, match="aioboto3"):
        enhance_async(new_session().client("dynamodb"))
