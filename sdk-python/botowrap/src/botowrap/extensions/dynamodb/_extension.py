"""The extension: enhances every DynamoDB client that a session makes."""

from __future__ import annotations

import weakref
from typing import Any, cast

from boto3.session import Session

from botowrap.core import BaseExtension
from botowrap.errors import AlreadyAttachedError
from botowrap.extensions.dynamodb._async_methods import AsyncPageMethods, AsyncWriteMethods
from botowrap.extensions.dynamodb._config import DynamoDBConfig
from botowrap.extensions.dynamodb._hooks import ClientHooks
from botowrap.extensions.dynamodb._methods import PageMethods, WriteMethods

__all__ = ["DynamoDBExtension"]

_UNIQUE_ID = "dynamodb-doc-bootstrap"
_CLIENT_CLASS = "creating-client-class.dynamodb"
_RESOURCE_CLASS = "creating-resource-class.dynamodb.ServiceResource"


class DynamoDBExtension(BaseExtension):
    """Enhances the DynamoDB clients that a boto3 or aioboto3 session makes from now on."""

    SERVICE = "dynamodb"

    def __init__(self, config: DynamoDBConfig) -> None:
        if not isinstance(config, DynamoDBConfig):
            raise TypeError(f"config is {config!r}; it must be a DynamoDBConfig")
        self.config = config

    def attach(self, session: Session) -> None:
        """Enhances the clients that the session makes from now on.

        A second extension with an equal configuration shares what is there.

        Raises:
            AlreadyAttachedError: another configuration rules the session.
        """
        attachment = _attachments.get(session.events)
        if attachment is None:
            attachment = _attachments[session.events] = _Attachment(self.config)
            attachment.register(session.events)
        elif attachment.config != self.config:
            raise AlreadyAttachedError(
                "the session has a DynamoDBExtension with another configuration already "
                f"({attachment.config}); detach that one first, or use a session of its own"
            )
        attachment.owners.add(self)

    def detach(self, session: Session) -> None:
        """Leaves the session's new clients plain, and takes the handlers of the living ones."""
        attachment = _attachments.get(session.events)
        if attachment is None or self not in attachment.owners:
            return
        attachment.owners.discard(self)
        if not attachment.owners:
            del _attachments[session.events]
            attachment.unregister(session.events)


class _Attachment:
    """What the extension did to one session."""

    def __init__(self, config: DynamoDBConfig) -> None:
        self.config = config
        self.owners: set[DynamoDBExtension] = set()
        self.clients: weakref.WeakSet[Any] = weakref.WeakSet()

    def register(self, events: Any) -> None:
        events.register(_CLIENT_CLASS, self._add_client_mixin, unique_id=_UNIQUE_ID)
        events.register(_RESOURCE_CLASS, _add_resource_mixin, unique_id=f"{_UNIQUE_ID}-resource")

    def unregister(self, events: Any) -> None:
        _unregister_bootstrap(events)
        for client in list(self.clients):
            client._botowrap.detach()
        self.clients.clear()

    def _add_client_mixin(self, base_classes: list[type], **_: Any) -> None:
        # A mixin of its own for this session, so that its configuration gets to the client.
        attachment = self

        class EnhancedClient:
            _botowrap: ClientHooks

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                # The client's copies of the session's handlers, which nobody would take back.
                _unregister_bootstrap(cast("Any", self).meta.events)
                self._botowrap = ClientHooks(self, attachment.config)
                attachment.clients.add(self)

        is_async = any(base.__module__.startswith("aiobotocore.") for base in base_classes)
        mixins: list[type] = [EnhancedClient, AsyncWriteMethods if is_async else WriteMethods]
        if self.config.add_pagination:
            mixins.append(AsyncPageMethods if is_async else PageMethods)
        base_classes[:0] = mixins


def _unregister_bootstrap(events: Any) -> None:
    events.unregister(_CLIENT_CLASS, unique_id=_UNIQUE_ID)
    events.unregister(_RESOURCE_CLASS, unique_id=f"{_UNIQUE_ID}-resource")


def _add_resource_mixin(base_classes: list[type], **_: Any) -> None:
    base_classes.insert(0, _ResourceMixin)


class _ResourceMixin:
    """Leaves conversion to boto3's resource, so that its callers get what they always got."""

    meta: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hooks = getattr(self.meta.client, "_botowrap", None)
        if hooks is not None:
            hooks.converts = False


# By the emitter, because several sessions can share one.
_attachments: weakref.WeakKeyDictionary[Any, _Attachment] = weakref.WeakKeyDictionary()
