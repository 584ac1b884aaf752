"""All pages of a query or a scan, at once or item by item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from botowrap.extensions.dynamodb._flows import Call, Flow
from botowrap.extensions.dynamodb._token import Position, decode_token, encode_token

Item = dict[str, Any]


def all_pages(method: str, params: dict[str, Any]) -> Flow[dict[str, Any]]:
    """Every item, the sums of the counts, and of the capacity if it was reported."""
    params = dict(params)
    items: list[Item] = []
    totals: dict[str, Any] = {"Count": 0, "ScannedCount": 0}
    while True:
        page = yield Call(method, params)
        items.extend(page.get("Items", ()))
        add_up(totals, page)
        if not page.get("LastEvaluatedKey"):
            return {"Items": items, **totals}
        params["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def add_up(totals: dict[str, Any], page: dict[str, Any]) -> None:
    """Adds a page's counts and capacity to those of the pages before."""
    totals["Count"] += page.get("Count", 0)
    totals["ScannedCount"] += page.get("ScannedCount", 0)
    if page.get("ConsumedCapacity"):
        _add_numbers(totals.setdefault("ConsumedCapacity", {}), page["ConsumedCapacity"])


def _add_numbers(total: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _add_numbers(total.setdefault(name, {}), value)
        elif isinstance(value, int | float):
            total[name] = total.get(name, 0) + value
        else:
            total[name] = value


class Cursor:
    """Where an iteration stands: which page, which item of it, and how many are still wanted."""

    def __init__(
        self,
        params: dict[str, Any],
        max_items: int | None,
        max_pages: int | None,
        resume_token: str | None,
    ) -> None:
        for name, bound in (("max_items", max_items), ("max_pages", max_pages)):
            if bound is not None and bound < 0:
                raise ValueError(f"{name} is {bound}; it must be 0 or more")
        if resume_token is not None and "ExclusiveStartKey" in params:
            raise ValueError("give either resume_token or ExclusiveStartKey")
        self._params = dict(params)
        self._wanted = max_items
        self._pages = max_pages
        position = Position(self._params.pop("ExclusiveStartKey", None))
        if resume_token is not None:
            position = decode_token(resume_token)
        self._start, self._index = position.start, position.skip
        self._following: dict[str, Any] | None = None
        self._items: list[Item] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to take, or nothing more is wanted."""
        return self._wanted == 0 or self._at_end or (self._pages == 0 and self._at_page_end)

    @property
    def _at_page_end(self) -> bool:
        return self._items is None or self._index >= len(self._items)

    @property
    def _at_end(self) -> bool:
        return self._items is not None and self._at_page_end and not self._following

    @property
    def wants_page(self) -> bool:
        """Whether the next item is on a page that isn't here yet."""
        return not self.finished and self._at_page_end

    def request(self) -> dict[str, Any]:
        """The parameters for the page that is wanted."""
        if self._items is not None:
            self._start, self._index, self._items = self._following, 0, None
        if self._start is None:
            return self._params
        return {**self._params, "ExclusiveStartKey": self._start}

    def accept(self, page: dict[str, Any]) -> None:
        """Takes the page that was wanted."""
        if self._pages is not None:
            self._pages -= 1
        self._items = page.get("Items", [])
        self._following = page.get("LastEvaluatedKey") or None

    def take(self) -> Item:
        """The next item; there must be one."""
        assert self._items is not None  # noqa: S101, RUF100 - `wants_page` was false
        item = self._items[self._index]
        self._index += 1
        if self._wanted is not None:
            self._wanted -= 1
        return item

    @property
    def resume_token(self) -> str | None:
        """Where to go on, or none at the end."""
        if self._at_end:
            return None
        if self._items is not None and self._at_page_end:
            return encode_token(Position(self._following))
        return encode_token(Position(self._start, self._index))


class ItemIterator(Iterator[Item]):
    """Items, read page by page as they are asked for."""

    def __init__(self, method: Any, cursor: Cursor) -> None:
        self._method = method
        self._cursor = cursor

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        while self._cursor.wants_page:
            self._cursor.accept(self._method(**self._cursor.request()))
        if self._cursor.finished:
            raise StopIteration
        return self._cursor.take()

    @property
    def resume_token(self) -> str | None:
        """Text with which a later iteration goes on after the last item; none at the end."""
        return self._cursor.resume_token


class AsyncItemIterator(AsyncIterator[Item]):
    """Items, read page by page as they are asked for."""

    def __init__(self, method: Any, cursor: Cursor) -> None:
        self._method = method
        self._cursor = cursor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while self._cursor.wants_page:
            self._cursor.accept(await self._method(**self._cursor.request()))
        if self._cursor.finished:
            raise StopAsyncIteration
        return self._cursor.take()

    @property
    def resume_token(self) -> str | None:
        """Text with which a later iteration goes on after the last item; none at the end."""
        return self._cursor.resume_token
