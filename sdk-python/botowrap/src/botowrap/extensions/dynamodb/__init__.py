"""DynamoDB with Python's own types, timestamps, all pages at once, retries and capacity logs."""

from botowrap.extensions.dynamodb._config import Capacity, DynamoDBConfig
from botowrap.extensions.dynamodb._deserializer import Deserializer
from botowrap.extensions.dynamodb._document_client import (
    DynamoDBDocumentClient,
    enhance,
    enhance_async,
)
from botowrap.extensions.dynamodb._extension import DynamoDBExtension
from botowrap.extensions.dynamodb._serializer import Serializer

# The README of the published package calls it so.
DynamoDBDocumentExtension = DynamoDBExtension

__all__ = [
    "Capacity",
    "Deserializer",
    "DynamoDBConfig",
    "DynamoDBDocumentClient",
    "DynamoDBDocumentExtension",
    "DynamoDBExtension",
    "Serializer",
    "enhance",
    "enhance_async",
]
