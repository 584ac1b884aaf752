"""The session with DynamoDB: attached while the process runs."""

import functools
import logging
from datetime import UTC, datetime

import boto3
from botocore.config import Config
from botowrap import DynamoDBConfig, DynamoDBExtension, ExtensionManager
from botowrap.extensions.dynamodb import enhance
from botowrap.supervised import invocation_deadline, supervise
from botowrap.types import EnhancedDynamoDBClient

from . import settings as chosen
from .items import Items
from .settings import EXPIRES_AT

logger = logging.getLogger(__name__)

settings = chosen.load()
items = Items(settings.layout, settings.generation)
manager = ExtensionManager(boto3.Session(region_name=settings.region))
manager.register(
    DynamoDBExtension(
        DynamoDBConfig(
            # An item is what its record is; the record has its own times.
            add_timestamps=False,
            log_consumed=False,
            numbers="native",
            # A field may hold {"S": "a"}; here it is always a map.
            refuse_wire_form=False,
            deadline=invocation_deadline,
        )
    )
)
supervise(manager)


@functools.cache
def client() -> EnhancedDynamoDBClient:
    """The client of all handlers, made with the first event."""
    config = Config(connect_timeout=3, read_timeout=10, max_pool_connections=32)
    # Typed; it has been enhanced since the session was.
    return enhance(
        manager.bootstrap().session.client(
            "dynamodb", endpoint_url=settings.endpoint, config=config
        )
    )


def expires_at() -> datetime:
    """Until when a tombstone that is made now has to stay."""
    return datetime.now(UTC) + settings.tombstone_life


def make_table() -> None:
    """Makes the table with its keys, and lets it drop expired tombstones."""
    keys = settings.layout.keys
    kinds = zip(keys, ("HASH", "RANGE"), strict=False)
    try:
        client().create_table(
            TableName=settings.table,
            KeySchema=[{"AttributeName": key.name, "KeyType": kind} for key, kind in kinds],
            AttributeDefinitions=[
                {"AttributeName": key.name, "AttributeType": "S"} for key in keys
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    except client().exceptions.ResourceInUseException:
        return
    logger.info("making the table %s", settings.table)
    waiter = client().get_waiter("table_exists")
    waiter.wait(TableName=settings.table, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    client().update_time_to_live(
        TableName=settings.table,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT},
    )
