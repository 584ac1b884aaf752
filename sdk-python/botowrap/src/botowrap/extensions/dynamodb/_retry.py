"""Tries throttled calls again, with jittered exponential delays, until the budget or time is up.

botocore's own retries stay in charge of everything else: this handler says how long to wait or
says nothing, and never `False`, which would switch them off. A call whose budget is used up gets
the exception that botocore would have raised, because a handler has no other way to end retries.
"""

from __future__ import annotations

import weakref
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import OperationModel

from botowrap.extensions.dynamodb._backoff import delay_seconds, ends_after_deadline
from botowrap.extensions.dynamodb._config import DynamoDBConfig

THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


class RetryPolicy:
    """The handler of `needs-retry` for one client."""

    def __init__(self, config: DynamoDBConfig, client: Any, *, explicit: bool) -> None:
        self._config = config
        # Weak, because the client holds its handlers.
        self._client = weakref.ref(client)
        # Attempts that the caller's own `botocore.Config(retries=…)` sets are not ours to change.
        self._explicit = explicit

    def needs_retry(
        self,
        response: tuple[Any, dict[str, Any]] | None = None,
        operation: OperationModel | None = None,
        attempts: int = 1,
        caught_exception: Exception | None = None,
        **_: Any,
    ) -> float | None:
        """The seconds to wait before the next attempt, or none where others decide."""
        if caught_exception is not None:
            if ends_after_deadline(self._config, 0.0):
                caught_exception.add_note(self._too_late())
                raise caught_exception
            return None
        if response is None or operation is None:
            return None
        http, parsed = response
        throttled = parsed.get("Error", {}).get("Code") in THROTTLING_CODES
        if not throttled and http.status_code < 500:
            return None
        ours = throttled and not self._explicit
        delay = delay_seconds(attempts) if ours else 0.0
        if ours and attempts > self._config.max_retries:
            metadata = parsed.setdefault("ResponseMetadata", {})
            metadata.update(RetryAttempts=attempts - 1, MaxAttemptsReached=True)
            raise self._error(parsed, operation)
        if ends_after_deadline(self._config, delay):
            parsed.setdefault("ResponseMetadata", {})["RetryAttempts"] = attempts - 1
            error = self._error(parsed, operation)
            error.add_note(self._too_late())
            raise error
        return delay if ours else None

    def _error(self, parsed: dict[str, Any], operation: OperationModel) -> ClientError:
        client = self._client()
        kind: Any = ClientError
        if client is not None:
            kind = client.exceptions.from_code(parsed.get("Error", {}).get("Code"))
        error: ClientError = kind(parsed, operation.name)
        return error

    def _too_late(self) -> str:
        return "botowrap: not tried again, because the caller's deadline would be over by then"
