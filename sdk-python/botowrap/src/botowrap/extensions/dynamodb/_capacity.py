"""Asks for consumed capacity, and tells the log and the configured callable about it."""

from __future__ import annotations

import logging
from typing import Any

from botocore.model import OperationModel

from botowrap.extensions.dynamodb._config import Capacity, DynamoDBConfig

_logger = logging.getLogger("botowrap.extensions.dynamodb")
_logger.addHandler(logging.NullHandler())


def ask_for_capacity(operation: OperationModel, params: dict[str, Any]) -> None:
    """Adds `ReturnConsumedCapacity` where the operation has it and the caller didn't set it."""
    shape = operation.input_shape
    if shape is not None and "ReturnConsumedCapacity" in shape.members:
        params.setdefault("ReturnConsumedCapacity", "TOTAL")


def tell_capacity(config: DynamoDBConfig, operation: str, parsed: dict[str, Any]) -> None:
    """Tells what a response says that it consumed, table by table."""
    consumed = parsed.get("ConsumedCapacity")
    if not consumed:
        return
    for entry in consumed if isinstance(consumed, list) else [consumed]:
        table, units = entry.get("TableName", "Unknown"), entry.get("CapacityUnits", 0)
        if config.log_consumed and _logger.isEnabledFor(logging.INFO):
            _logger.info(
                "DynamoDB consumed capacity for table %s: %s",
                table,
                units,
                extra={"operation": operation, "table": table, "capacity_units": units},
            )
        if config.on_capacity is not None:
            config.on_capacity(Capacity(operation, table, units))
