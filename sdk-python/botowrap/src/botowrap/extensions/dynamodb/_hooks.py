"""The handlers on one client's events: what the extension does to its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, Shape

from botowrap.extensions.dynamodb._capacity import ask_for_capacity, tell_capacity
from botowrap.extensions.dynamodb._config import DynamoDBConfig
from botowrap.extensions.dynamodb._deserializer import Deserializer
from botowrap.extensions.dynamodb._retry import RetryPolicy
from botowrap.extensions.dynamodb._serializer import Serializer
from botowrap.extensions.dynamodb._shapes import Converter, reader, writer
from botowrap.extensions.dynamodb._timestamps import Stamper

_SERVICE = "dynamodb"


class Prepared(dict[str, Any]):
    """Request items that were stamped and serialised already."""


class ClientHooks:
    """Registers and unregisters the handlers of one client, and is most of them."""

    def __init__(self, client: Any, config: DynamoDBConfig) -> None:
        self.config = config
        self.serializer = Serializer(config.default, refuse_wire_form=config.refuse_wire_form)
        self.deserializer = Deserializer(config.numbers, config.binary)
        # A resource converts by itself; it turns this off for its client.
        self.converts = True
        self._stamper = Stamper(config)
        self._asks = config.log_consumed or config.on_capacity is not None
        self._writers: dict[str, Converter | None] = {}
        self._readers: dict[str, Converter | None] = {}
        self._service_model = client.meta.service_model
        self._events = client.meta.events
        retries = client.meta.config.retries or {}
        explicit = "total_max_attempts" in retries or "max_attempts" in retries
        self._retry = RetryPolicy(config, client, explicit=explicit)
        self.active = False
        self._attach()

    def _attach(self) -> None:
        self.active = True
        # Last, so that the copy of another handler wins over ours.
        self._events.register_last(f"provide-client-params.{_SERVICE}", _copy)
        self._events.register(f"before-parameter-build.{_SERVICE}", self._before)
        self._events.register(f"after-call.{_SERVICE}", self._after)
        # First, because botocore takes the first answer.
        self._events.register_first(f"needs-retry.{_SERVICE}", self._retry.needs_retry)

    def detach(self) -> None:
        """Takes all handlers back; the client is plain again, but for its methods."""
        self.active = False
        self._events.unregister(f"provide-client-params.{_SERVICE}", _copy)
        self._events.unregister(f"before-parameter-build.{_SERVICE}", self._before)
        self._events.unregister(f"after-call.{_SERVICE}", self._after)
        self._events.unregister(f"needs-retry.{_SERVICE}", self._retry.needs_retry)

    def _before(self, params: dict[str, Any], model: OperationModel, **_: Any) -> None:
        """Changes `params`, which is this call's own dict, but nothing inside of it."""
        if self._asks:
            ask_for_capacity(model, params)
        prepared = params.get("RequestItems")
        if isinstance(prepared, Prepared):
            # As a plain dict: botocore resolves the endpoint by exact types.
            params["RequestItems"] = dict(prepared)
            return
        self._to_wire(model, params)

    def _to_wire(self, model: OperationModel, params: dict[str, Any]) -> None:
        if self.config.add_timestamps:
            self._stamper.stamp(model.name, params)
        if self.converts:
            convert = self._writer(model)
            if convert is not None:
                params.update(convert(params))

    def prepare(self, operation: str, request_items: dict[str, Any]) -> dict[str, Any]:
        """The request items as they will be sent, so that what can't be is found at once."""
        if not self.active or not self.converts:
            return request_items
        params = {"RequestItems": request_items}
        self._to_wire(self._service_model.operation_model(operation), params)
        return params["RequestItems"]

    def _after(self, parsed: dict[str, Any], model: OperationModel, **_: Any) -> None:
        if self._asks:
            tell_capacity(self.config, model.name, parsed)
        if not self.converts:
            return
        error = parsed.get("Error")
        if error is None:
            convert = self._reader(model.name, model.output_shape)
        else:
            code = error.get("Code")
            convert = self._reader(f"!{code}", self._error_shape(code))
        if convert is not None:
            convert(parsed)

    def _error_shape(self, code: Any) -> Shape | None:
        return self._service_model.shape_for_error_code(code) if isinstance(code, str) else None

    def _writer(self, model: OperationModel) -> Converter | None:
        try:
            return self._writers[model.name]
        except KeyError:
            convert = self._writers[model.name] = writer(model, self.serializer)
            return convert

    def _reader(self, name: str, shape: Shape | None) -> Converter | None:
        try:
            return self._readers[name]
        except KeyError:
            convert = self._readers[name] = reader(shape, self.deserializer)
            return convert


def _copy(params: Any, **_: Any) -> dict[str, Any] | None:
    return dict(params) if isinstance(params, Mapping) else None
