"""Batches of any size: cut into what DynamoDB takes, and what it leaves out sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from botowrap.errors import IncompleteBatchError
from botowrap.extensions.dynamodb._backoff import delay_seconds, ends_after_deadline
from botowrap.extensions.dynamodb._flows import Call, Flow, Pause
from botowrap.extensions.dynamodb._hooks import ClientHooks, Prepared
from botowrap.extensions.dynamodb._retry import THROTTLING_CODES

_WRITES_MAX = 25
_KEYS_MAX = 100

RequestItems = dict[str, Any]


def write_all(
    hooks: ClientHooks, request_items: Mapping[str, Iterable[Any]], options: dict[str, Any]
) -> Flow[dict[str, Any]]:
    """Writes all requests, 25 in a call; nothing is sent if one of them can't be serialised."""
    native = {table: list(requests) for table, requests in request_items.items()}
    # For the error of an incomplete batch, by the identity of what is sent for it.
    wire = hooks.prepare("BatchWriteItem", native)
    prepared = wire is not native
    pending = deque(
        (table, sent, original, prepared)
        for table, requests in native.items()
        for original, sent in zip(requests, wire[table], strict=True)
    )
    retries = _Retries(hooks)
    while pending:
        # What DynamoDB gave back is native again, and goes with its like.
        chunk = [pending.popleft()]
        while pending and len(chunk) < _WRITES_MAX and pending[0][3] == chunk[0][3]:
            chunk.append(pending.popleft())
        items = Prepared() if chunk[0][3] else {}
        for table, sent, _, _ in chunk:
            items.setdefault(table, []).append(sent)
        leftovers = _grouped([*chunk, *pending])
        answer = yield from _call("batch_write_item", items, options, leftovers)
        back = [
            (table, request, request, False)
            for table, requests in answer.get("UnprocessedItems", {}).items()
            for request in requests
        ]
        pending.extendleft(reversed(back))
        if back:
            progress = len(back) < len(chunk)
            yield retries.pause(progress, lambda: _grouped(pending), {})
        else:
            retries.reset()
    return {"UnprocessedItems": {}}


def get_all(
    hooks: ClientHooks, request_items: Mapping[str, Any], options: dict[str, Any]
) -> Flow[dict[str, Any]]:
    """Reads all keys, 100 in a call; in no particular order, as DynamoDB does."""
    settings = {
        table: {name: value for name, value in request.items() if name != "Keys"}
        for table, request in request_items.items()
    }
    pending = deque(
        (table, key) for table, request in request_items.items() for key in request["Keys"]
    )
    found: dict[str, list[Any]] = {table: [] for table in request_items}
    retries = _Retries(hooks)

    def keyed(chunk: Iterable[tuple[str, Any]]) -> RequestItems:
        items: RequestItems = {}
        for table, key in chunk:
            items.setdefault(table, {**settings[table], "Keys": []})["Keys"].append(key)
        return items

    while pending:
        chunk = [pending.popleft() for _ in range(min(len(pending), _KEYS_MAX))]
        leftovers = keyed([*chunk, *pending])
        answer = yield from _call("batch_get_item", keyed(chunk), options, leftovers, found)
        for table, items in answer.get("Responses", {}).items():
            found[table].extend(items)
        back = [
            (table, key)
            for table, request in answer.get("UnprocessedKeys", {}).items()
            for key in request["Keys"]
        ]
        pending.extendleft(reversed(back))
        if back:
            yield retries.pause(len(back) < len(chunk), lambda: keyed(pending), found)
        else:
            retries.reset()
    return {"Responses": found, "UnprocessedKeys": {}}


def _call(
    method: str,
    items: RequestItems,
    options: dict[str, Any],
    leftovers: RequestItems,
    done: dict[str, Any] | None = None,
) -> Flow[dict[str, Any]]:
    try:
        answer: dict[str, Any] = yield Call(method, {**options, "RequestItems": items})
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in THROTTLING_CODES:
            raise
        raise IncompleteBatchError(leftovers, done or {}, str(error)) from error
    return answer


def _grouped(requests: Iterable[tuple[str, Any, Any, bool]]) -> RequestItems:
    items: RequestItems = {}
    for table, _, original, _ in requests:
        items.setdefault(table, []).append(original)
    return items


class _Retries:
    """Counts the calls in a row of which nothing was processed."""

    def __init__(self, hooks: ClientHooks) -> None:
        self._config = hooks.config
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    def pause(
        self, progress: bool, leftovers: Callable[[], RequestItems], done: dict[str, Any]
    ) -> Pause:
        self._attempts = 1 if progress else self._attempts + 1
        if self._attempts > self._config.max_retries:
            reason = f"DynamoDB processed none of them in {self._attempts} attempts"
            raise IncompleteBatchError(leftovers(), done, reason)
        seconds = delay_seconds(self._attempts)
        if ends_after_deadline(self._config, seconds):
            reason = "the caller's deadline would be over before the next attempt"
            raise IncompleteBatchError(leftovers(), done, reason)
        return Pause(seconds)
