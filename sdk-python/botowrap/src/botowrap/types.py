"""Types of enhanced clients, for annotations: what is added, and what boto3's clients have."""

from botowrap._async_client_type import AsyncEnhancedDynamoDBClient
from botowrap._client_type import EnhancedDynamoDBClient
from botowrap._item_types import AsyncItems, Items, TransactionSteps

__all__ = [
    "AsyncEnhancedDynamoDBClient",
    "AsyncItems",
    "EnhancedDynamoDBClient",
    "Items",
    "TransactionSteps",
]
