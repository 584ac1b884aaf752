"""S1 to S19: Python's own types in every operation, both ways."""

from __future__ import annotations

import copy
import dataclasses
import enum
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary

from botowrap.errors import SerializationError
from tests.conftest import Backend

NATIVE = {
    "id": "a",
    "n": 1,
    "b": True,
    "l": [1, "x", None],
    "m": {"deep": {"er": [b"\x00"]}},
    "bin": b"\x00\xff",
    "ss": {"a"},
    "ns": {1},
    "bs": {b"a"},
    "none": None,
}
WIRE = {
    "id": {"S": "a"},
    "n": {"N": "1"},
    "b": {"BOOL": True},
    "l": {"L": [{"N": "1"}, {"S": "x"}, {"NULL": True}]},
    "m": {"M": {"deep": {"M": {"er": {"L": [{"B": b"\x00"}]}}}}},
    "bin": {"B": b"\x00\xff"},
    "ss": {"SS": ["a"]},
    "ns": {"NS": ["1"]},
    "bs": {"BS": [b"a"]},
    "none": {"NULL": True},
}
BARE = {"add_timestamps": False, "log_consumed": False}


@pytest.fixture
def client(backend: Backend) -> Any:
    return backend.client(**BARE)


def test_s1_put_item_stores_every_wire_type(client: Any, plain: Any, table: str) -> None:
    client.put_item(TableName=table, Item=NATIVE)
    assert plain.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"] == WIRE


def test_s2_get_item_takes_a_native_key(client: Any, plain: Any, table: str) -> None:
    plain.put_item(TableName=table, Item={"id": {"S": "a"}})
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"] == {"id": "a"}


def test_s3_get_item_returns_a_native_item_and_a_miss_has_none(
    client: Any, plain: Any, table: str
) -> None:
    plain.put_item(TableName=table, Item=WIRE)
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"] == NATIVE
    assert "Item" not in client.get_item(TableName=table, Key={"id": "miss"})


def test_s4_query_and_scan_return_native_items(client: Any, plain: Any, table: str) -> None:
    plain.put_item(TableName=table, Item=WIRE)
    found = client.query(
        TableName=table,
        KeyConditionExpression="id = :id",
        ExpressionAttributeValues={":id": "a"},
    )
    assert found["Items"] == [NATIVE]
    assert client.scan(TableName=table)["Items"] == [NATIVE]


def test_s5_batch_get_item_returns_native_rows(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item=NATIVE)
    found = client.batch_get_item(RequestItems={table: {"Keys": [{"id": "a"}]}})
    assert found["Responses"] == {table: [NATIVE]}
    assert found["UnprocessedKeys"] == {}


def test_s6_update_and_delete_take_keys_and_return_attributes(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a", "n": 1})
    updated = client.update_item(
        TableName=table,
        Key={"id": "a"},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": 2},
        ReturnValues="ALL_NEW",
    )
    assert updated["Attributes"] == {"id": "a", "n": 2}
    deleted = client.delete_item(TableName=table, Key={"id": "a"}, ReturnValues="ALL_OLD")
    assert deleted["Attributes"] == {"id": "a", "n": 2}


def test_s7_expression_values_are_native_in_every_operation(client: Any, table: str) -> None:
    values = {":n": 5}
    client.put_item(TableName=table, Item={"id": "a", "n": 5})
    client.put_item(
        TableName=table,
        Item={"id": "a", "n": 5},
        ConditionExpression="n = :n",
        ExpressionAttributeValues=values,
    )
    found = client.scan(
        TableName=table, FilterExpression="n = :n", ExpressionAttributeValues=values
    )
    assert found["Count"] == 1
    client.transact_write_items(
        TransactItems=[
            {
                "ConditionCheck": {
                    "TableName": table,
                    "Key": {"id": "a"},
                    "ConditionExpression": "n = :n",
                    "ExpressionAttributeValues": values,
                }
            }
        ]
    )
    client.delete_item(
        TableName=table,
        Key={"id": "a"},
        ConditionExpression="n = :n",
        ExpressionAttributeValues=values,
    )


def test_s8_batches_and_transactions_are_native_both_ways(client: Any, table: str) -> None:
    client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": NATIVE}}]})
    client.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": {"id": "a"}}}]})
    client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": NATIVE}}])
    got = client.transact_get_items(
        TransactItems=[{"Get": {"TableName": table, "Key": {"id": "a"}}}]
    )
    assert got["Responses"] == [{"Item": NATIVE}]


def test_s8_partiql_is_native_both_ways(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "p", "n": 1})
    select = f"SELECT * FROM {table} WHERE id = ?"
    found = client.execute_statement(Statement=select, Parameters=["p"])
    assert found["Items"] == [{"id": "p", "n": 1}]
    batch = client.batch_execute_statement(Statements=[{"Statement": select, "Parameters": ["p"]}])
    assert batch["Responses"][0]["Item"] == {"id": "p", "n": 1}


def test_s9_last_evaluated_key_goes_back_as_it_came(backend: Backend, client: Any) -> None:
    table = backend.table(client, "pk:B", "sk:N")
    for number in range(3):
        client.put_item(TableName=table, Item={"pk": b"p", "sk": number})
    first = client.scan(TableName=table, Limit=2)
    assert first["LastEvaluatedKey"] == {"pk": b"p", "sk": 1}
    rest = client.scan(TableName=table, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert rest["Items"] == [{"pk": b"p", "sk": 2}]


def test_s10_legacy_parameters_are_native(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a", "n": 1})
    client.put_item(
        TableName=table,
        Item={"id": "a", "n": 2},
        Expected={"n": {"AttributeValueList": [1], "ComparisonOperator": "EQ"}},
    )
    client.put_item(TableName=table, Item={"id": "a", "n": 3}, Expected={"n": {"Value": 2}})
    client.update_item(
        TableName=table,
        Key={"id": "a"},
        AttributeUpdates={"n": {"Value": 4, "Action": "ADD"}},
    )
    equal = {"AttributeValueList": ["a"], "ComparisonOperator": "EQ"}
    found = client.query(TableName=table, KeyConditions={"id": equal})
    assert found["Items"] == [{"id": "a", "n": 7}]
    assert client.scan(TableName=table, ScanFilter={"id": equal})["Count"] == 1


def test_s11_no_argument_is_changed(backend: Backend, table: str) -> None:
    client = backend.client()
    item = {"id": "a", "m": {"x": [1, {"y"}]}}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("put_item", {"TableName": table, "Item": item}),
        (
            "put_item",
            {
                "TableName": table,
                "Item": item,
                "Expected": {"id": {"AttributeValueList": ["a"], "ComparisonOperator": "EQ"}},
            },
        ),
        (
            "update_item",
            {
                "TableName": table,
                "Key": {"id": "a"},
                "UpdateExpression": "SET #n = :n",
                "ExpressionAttributeNames": {"#n": "n"},
                "ExpressionAttributeValues": {":n": 1},
            },
        ),
        ("batch_write_item", {"RequestItems": {table: [{"PutRequest": {"Item": item}}]}}),
        (
            "transact_write_items",
            {
                "TransactItems": [
                    {
                        "Update": {
                            "TableName": table,
                            "Key": {"id": "a"},
                            "UpdateExpression": "SET n = :n",
                            "ExpressionAttributeValues": {":n": 1},
                        }
                    }
                ]
            },
        ),
        ("query_all", {"TableName": table, "KeyConditionExpression": Key("id").eq("a")}),
    ]
    for method, params in calls:
        before = copy.deepcopy(params)
        getattr(client, method)(**params)
        getattr(client, method)(**params)
        assert params == before, method


def test_s11_not_even_through_the_call_that_boto3_itself_uses(backend: Backend, table: str) -> None:
    client = backend.client()
    params = {"TableName": table, "Item": {"id": "a"}}
    client._make_api_call("PutItem", params)
    assert params == {"TableName": table, "Item": {"id": "a"}}


@pytest.mark.parametrize("number", [1.5, 0.1, -2.0, 1e-100, 1e100, 0.1 + 0.2, -0.0])
def test_s12_floats_read_back_equal(client: Any, table: str, number: float) -> None:
    client.put_item(TableName=table, Item={"id": "a", "f": number, "fs": {number}})
    item = client.get_item(TableName=table, Key={"id": "a"})["Item"]
    assert float(item["f"]) == number
    assert {float(member) for member in item["fs"]} == {number}


def test_s12_the_wire_has_the_shortest_decimal(client: Any, plain: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a", "f": 1.5})
    assert plain.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"]["f"] == {"N": "1.5"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), Decimal("NaN")])
def test_s12_what_is_no_number_is_a_type_error(client: Any, table: str, number: Any) -> None:
    with pytest.raises(TypeError, match=r"^Item\.n: .* not a number"):
        client.put_item(TableName=table, Item={"id": "a", "n": number})


def test_s13_numbers_are_decimals_or_native(backend: Backend, client: Any, table: str) -> None:
    exact = Decimal("0.1234567890123456789012345678901234567")
    client.put_item(TableName=table, Item={"id": "a", "i": 2, "f": 1.5, "d": exact, "s": {1, 2.5}})
    item = client.get_item(TableName=table, Key={"id": "a"})["Item"]
    assert [type(item[name]) for name in "ifd"] == [Decimal] * 3
    native = backend.client(numbers="native", **BARE)
    item = native.get_item(TableName=table, Key={"id": "a"})["Item"]
    assert [type(item[name]) for name in "ifd"] == [int, float, Decimal], "nothing is lost"
    assert item == {"id": "a", "i": 2, "f": 1.5, "d": exact, "s": {1, 2.5}}


def test_s14_binary_reads_as_bytes_or_as_boto3s_binary(
    backend: Backend, client: Any, table: str
) -> None:
    item = {"id": "a", "b": bytearray(b"x"), "v": memoryview(b"y"), "w": Binary(b"z")}
    client.put_item(TableName=table, Item=item)
    got = client.get_item(TableName=table, Key={"id": "a"})["Item"]
    assert [type(got[name]) for name in "bvw"] == [bytes] * 3
    wrapped = backend.client(binary="binary", **BARE)
    got = wrapped.get_item(TableName=table, Key={"id": "a"})["Item"]
    assert isinstance(got["b"], Binary)
    assert got["b"] == b"x"


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    tags: list[Any]


class Model(pydantic.BaseModel):
    name: str
    when: date


def test_s15_common_types_convert(client: Any, table: str) -> None:
    identity = uuid.UUID(int=7)
    item = {
        "id": "a",
        "datetime": datetime(2024, 1, 2, 3, tzinfo=UTC),
        "date": date(2024, 1, 2),
        "uuid": identity,
        "enum": Colour.RED,
        "dataclass": Point(1, [Colour.RED]),
        "model": Model(name="n", when=date(2024, 1, 2)),
        "uuids": {identity},
        "tuple": (1, 2),
    }
    client.put_item(TableName=table, Item=item)
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"] == {
        "id": "a",
        "datetime": "2024-01-02T03:00:00+00:00",
        "date": "2024-01-02",
        "uuid": str(identity),
        "enum": "red",
        "dataclass": {"x": 1, "tags": ["red"]},
        "model": {"name": "n", "when": "2024-01-02"},
        "uuids": {str(identity)},
        "tuple": [1, 2],
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (set(), r"Item\.x: the set is empty"),
        ({"y": [0, frozenset()]}, r"Item\.x\.y\[1\]: the set is empty"),
        ({"y": [object()]}, r"Item\.x\.y\[0\]: a builtins\.object can't be an attribute"),
        ({1, "a"}, r"Item\.x: a set of int, str"),
        ({True}, r"Item\.x: a set of bool"),
        ({1: "a"}, r"Item\.x: the key 1 of a map is not a string"),
        (10**39 + 1, r"Item\.x: .* more than 38 significant digits"),
        (Decimal("1E+126"), r"Item\.x: 1E\+126 is outside"),
        (1e300, r"Item\.x: .* outside"),
        (Decimal("1E-131"), r"Item\.x: 1E-131 is outside"),
        (Point(1, [set()]), r"Item\.x\.tags\[0\]: the set is empty"),
    ],
)
def test_s15_what_cannot_convert_is_named_by_its_path(
    client: Any, plain: Any, table: str, value: Any, message: str
) -> None:
    with pytest.raises(SerializationError, match=f"^{message}"):
        client.put_item(TableName=table, Item={"id": "a", "x": value})
    assert plain.scan(TableName=table)["Count"] == 0


def test_s15_a_value_that_holds_itself_is_refused(client: Any, table: str) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SerializationError, match="nested deeper"):
        client.put_item(TableName=table, Item={"id": "a", "x": endless})


def test_s15_the_default_hook_converts_the_rest(backend: Backend, table: str) -> None:
    client = backend.client(default=lambda value: f"{value.real}+{value.imag}i", **BARE)
    client.put_item(TableName=table, Item={"id": "a", "c": 1 + 2j})
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"]["c"] == "1.0+2.0i"


@pytest.mark.parametrize(
    "value",
    [
        {"S": "a"},
        {"N": "1"},
        {"B": b""},
        {"BOOL": True},
        {"NULL": True},
        {"SS": ["a"]},
        {"L": [{"S": "a"}]},
        {"M": {"x": {"N": "1"}}},
    ],
)
def test_s16_wire_form_is_refused_by_name(client: Any, table: str, value: Any) -> None:
    with pytest.raises(SerializationError, match=r"^Item\.x: .*looks already serialised"):
        client.put_item(TableName=table, Item={"id": "a", "x": value})
    with pytest.raises(SerializationError, match=r"^Key\.id: .*looks already serialised"):
        client.get_item(TableName=table, Key={"id": {"S": "a"}})


def test_s16_maps_that_only_resemble_it_are_stored(
    backend: Backend, client: Any, table: str
) -> None:
    item: dict[str, Any] = {"id": "a", "x": {"S": 1}, "y": {"N": "n"}, "z": {"in": {"S": "a"}}}
    client.put_item(TableName=table, Item=item)
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"] == item
    trusting = backend.client(refuse_wire_form=False, **BARE)
    trusting.put_item(TableName=table, Item={"id": "a", "x": {"S": "a"}})
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"]["x"] == {"S": "a"}


def test_s17_a_resource_of_the_same_session_works_as_ever(backend: Backend, table: str) -> None:
    session = backend.session()
    client = session.client("dynamodb", endpoint_url=backend.url)
    resource = session.resource("dynamodb", endpoint_url=backend.url).Table(table)
    resource.put_item(Item={"id": "a", "n": 1, "b": b"x"})
    item = resource.get_item(Key={"id": "a"})["Item"]
    assert item["n"] == 1
    assert isinstance(item["b"], Binary), "as boto3's resource reads it"
    assert client.get_item(TableName=table, Key={"id": "a"})["Item"] == item
    resource.update_item(
        Key={"id": "a"},
        UpdateExpression="SET n = :n",
        ConditionExpression=Attr("n").eq(1),
        ExpressionAttributeValues={":n": 2},
    )
    with resource.batch_writer() as writer:
        for number in range(30):
            writer.put_item(Item={"id": f"b{number}"})
    assert resource.query(KeyConditionExpression=Key("id").eq("a"))["Items"][0]["n"] == 2
    assert resource.scan()["Count"] == 31
    assert client.scan_all(TableName=table)["Count"] == 31
    backend.managers[0].teardown()
    assert resource.get_item(Key={"id": "a"})["Item"]["n"] == 2, "also after the teardown"
    with pytest.raises(client.exceptions.ClientError):
        resource.meta.client.get_item(TableName="nowhere", Key={"id": "a"})


def test_s18_condition_objects_work_in_expressions(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={"id": "a", "m": {"l": [1, 5]}, "t": "text"})
    condition = Attr("m.l[1]").between(4, 6) & Attr("t").begins_with("te") & Attr("no").not_exists()
    found = client.query(
        TableName=table,
        KeyConditionExpression=Key("id").eq("a"),
        FilterExpression=condition & (Attr("t").size().eq(4) | ~Attr("t").is_in(["text", "b"])),
        ExpressionAttributeNames={"#bw0": "t"},
        ProjectionExpression="#bw0",
    )
    assert found["Items"] == [{"t": "text"}]
    check = {"TableName": table, "Key": {"id": "a"}, "ConditionExpression": Attr("t").eq("text")}
    client.transact_write_items(TransactItems=[{"ConditionCheck": check}])
    check["ConditionExpression"] = Attr("t").eq("other")
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[{"ConditionCheck": check}])


def test_s19_the_item_of_a_failed_condition_is_native(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item=NATIVE)
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as failed:
        client.put_item(
            TableName=table,
            Item={"id": "a"},
            ConditionExpression=Attr("n").eq(2),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert failed.value.response["Item"] == NATIVE
    put = {
        "TableName": table,
        "Item": {"id": "a"},
        "ConditionExpression": Attr("n").eq(2),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        client.transact_write_items(TransactItems=[{"Put": put}])
    assert cancelled.value.response["CancellationReasons"][0]["Item"] == NATIVE
