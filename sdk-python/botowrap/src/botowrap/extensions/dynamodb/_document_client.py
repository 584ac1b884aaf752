"""One client enhanced by itself, without its session."""

from __future__ import annotations

from typing import Any, cast

from botowrap.errors import NotEnhancedError
from botowrap.extensions.dynamodb._config import DynamoDBConfig
from botowrap.extensions.dynamodb._deserializer import Deserializer
from botowrap.extensions.dynamodb._hooks import ClientHooks
from botowrap.extensions.dynamodb._methods import PageMethods, WriteMethods
from botowrap.extensions.dynamodb._serializer import Serializer
from botowrap.types import AsyncEnhancedDynamoDBClient, EnhancedDynamoDBClient

__all__ = ["DynamoDBDocumentClient", "enhance", "enhance_async"]


class DynamoDBDocumentClient(PageMethods, WriteMethods):
    """A client with the added methods, for one that was made before its session was enhanced.

    Everything else is the client's own. The client converts from then on, until `detach`.
    """

    def __init__(self, client: Any, config: DynamoDBConfig | None = None) -> None:
        present: ClientHooks | None = getattr(client, "_botowrap", None)
        if present is not None and not present.active:
            present = None
        if present is not None and config not in (None, present.config):
            raise NotEnhancedError("the client is enhanced already, with another configuration")
        self.client = client
        self._owned = present is None
        self._botowrap = present or ClientHooks(client, config or DynamoDBConfig())
        if self._owned:
            client._botowrap = self._botowrap

    @property
    def config(self) -> DynamoDBConfig:
        """What rules the client."""
        return self._botowrap.config

    @property
    def serializer(self) -> Serializer:
        """Makes attribute values of Python values, as the client does."""
        return self._botowrap.serializer

    @property
    def deserializer(self) -> Deserializer:
        """Makes Python values of attribute values, as the client does."""
        return self._botowrap.deserializer

    def detach(self) -> None:
        """Makes the client plain again, if it was this object that enhanced it."""
        if self._owned:
            self._botowrap.detach()

    def __getattr__(self, name: str) -> Any:
        if name in {"client", "_botowrap"}:
            raise AttributeError(name)
        return getattr(self.client, name)


def enhance(client: Any, config: DynamoDBConfig | None = None) -> EnhancedDynamoDBClient:
    """The client with the types of the added methods; one that lacks them is enhanced here."""
    if isinstance(client, PageMethods) and isinstance(client, WriteMethods) and config is None:
        return cast("EnhancedDynamoDBClient", client)
    return cast("EnhancedDynamoDBClient", DynamoDBDocumentClient(client, config))


def enhance_async(client: Any) -> AsyncEnhancedDynamoDBClient:
    """The client of an enhanced aioboto3 session, with the types of the added methods."""
    if not hasattr(client, "_botowrap"):
        raise NotEnhancedError("the client was made before its aioboto3 session was enhanced")
    return cast("AsyncEnhancedDynamoDBClient", client)
