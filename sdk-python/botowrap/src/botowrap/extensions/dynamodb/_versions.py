"""Writes that hold only if nobody else wrote in between."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase
from botocore.exceptions import ClientError

from botowrap.extensions.dynamodb._conditions import Placeholders, build_conditions
from botowrap.extensions.dynamodb._flows import Call, Flow
from botowrap.extensions.dynamodb._update_expression import add_assignments

Params = dict[str, Any]


def put_if_absent(params: Params, key_attribute: str) -> Flow[bool]:
    """Puts an item unless there is one with its key."""
    return (yield from _put_if(params, Attr(key_attribute).not_exists()))


def put_if_newer(params: Params, version_attribute: str) -> Flow[bool]:
    """Puts an item unless the stored one has the same or a higher version."""
    version = _version_of(params, version_attribute)
    stored = Attr(version_attribute)
    return (yield from _put_if(params, stored.not_exists() | stored.lt(version)))


def put_versioned(params: Params, version_attribute: str) -> Flow[Params]:
    """Puts the item's next version if the stored one is the item's; returns what was put."""
    item = params["Item"]
    version = item.get(version_attribute)
    stored = Attr(version_attribute)
    condition = stored.not_exists() if version is None else stored.eq(version)
    put = {**item, version_attribute: 1 if version is None else version + 1}
    params = _with_condition({**params, "Item": put}, condition)
    params.setdefault("ReturnValuesOnConditionCheckFailure", "ALL_OLD")
    yield Call("put_item", params)
    return put


def update_versioned(params: Params, expected_version: Any, version_attribute: str) -> Flow[Params]:
    """Updates an item to its next version if it has the expected one."""
    params = _with_condition(params, Attr(version_attribute).eq(expected_version))
    placeholders = Placeholders(params)
    name = placeholders.name(version_attribute)
    assignment = f"{name} = {placeholders.value(expected_version + 1)}"
    params["UpdateExpression"] = add_assignments(params.get("UpdateExpression", ""), [assignment])
    placeholders.store(params)
    params.setdefault("ReturnValuesOnConditionCheckFailure", "ALL_OLD")
    answer: Params = yield Call("update_item", params)
    return answer


def _version_of(params: Params, attribute: str) -> Any:
    version = params["Item"].get(attribute)
    if version is None:
        raise ValueError(f"Item has no {attribute!r}, which tells what is newer")
    return version


def _put_if(params: Params, condition: ConditionBase) -> Flow[bool]:
    try:
        yield Call("put_item", _with_condition(params, condition))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _with_condition(params: Params, condition: ConditionBase) -> Params:
    """The parameters with one more condition, in a dict of their own."""
    params = dict(params)
    present: Any = params.pop("ConditionExpression", None)
    if isinstance(present, ConditionBase):
        present, condition = None, present & condition
    params["ConditionExpression"] = condition
    build_conditions(params, ["ConditionExpression"])
    if present is not None:
        params["ConditionExpression"] = f"({present}) AND ({params['ConditionExpression']})"
    return params
