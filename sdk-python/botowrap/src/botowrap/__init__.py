"""Extensions for boto3: attach them to a session, and the clients that it makes can do more."""

from botowrap.core import BaseExtension, ExtensionManager
from botowrap.extensions.dynamodb import DynamoDBConfig, DynamoDBExtension

__all__ = ["BaseExtension", "DynamoDBConfig", "DynamoDBExtension", "ExtensionManager"]

__version__ = "0.1.1"
