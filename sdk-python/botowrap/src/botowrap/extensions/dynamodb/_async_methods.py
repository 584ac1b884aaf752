"""The methods that aioboto3's clients get: the same ones, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from botowrap.extensions.dynamodb._batches import get_all, write_all
from botowrap.extensions.dynamodb._flows import run_async
from botowrap.extensions.dynamodb._hooks import ClientHooks
from botowrap.extensions.dynamodb._methods import merge_segments
from botowrap.extensions.dynamodb._pages import AsyncItemIterator, Cursor, all_pages
from botowrap.extensions.dynamodb._transaction import AsyncTransaction
from botowrap.extensions.dynamodb._versions import (
    put_if_absent,
    put_if_newer,
    put_versioned,
    update_versioned,
)

Item = dict[str, Any]


class AsyncPageMethods:
    """Reads all pages."""

    async def query_all(self, **kwargs: Any) -> dict[str, Any]:
        """All items that `query` finds, on however many pages."""
        return await run_async(self, all_pages("query", kwargs))

    async def scan_all(self, **kwargs: Any) -> dict[str, Any]:
        """All items that `scan` finds, on however many pages."""
        return await run_async(self, all_pages("scan", kwargs))

    def query_iter(
        self,
        *,
        max_items: int | None = None,
        max_pages: int | None = None,
        resume_token: str | None = None,
        **kwargs: Any,
    ) -> AsyncItemIterator:
        """The items that `query` finds, one by one."""
        cursor = Cursor(kwargs, max_items, max_pages, resume_token)
        return AsyncItemIterator(getattr(self, "query"), cursor)  # noqa: B009

    def scan_iter(
        self,
        *,
        max_items: int | None = None,
        max_pages: int | None = None,
        resume_token: str | None = None,
        **kwargs: Any,
    ) -> AsyncItemIterator:
        """The items that `scan` finds, one by one."""
        cursor = Cursor(kwargs, max_items, max_pages, resume_token)
        return AsyncItemIterator(getattr(self, "scan"), cursor)  # noqa: B009

    async def parallel_scan(self, *, TotalSegments: int = 4, **kwargs: Any) -> dict[str, Any]:  # noqa: N803
        """All items that `scan` finds, all segments of the table at once."""
        async with asyncio.TaskGroup() as group:
            segments = [
                group.create_task(
                    self.scan_all(Segment=number, TotalSegments=TotalSegments, **kwargs)
                )
                for number in range(TotalSegments)
            ]
        return merge_segments([segment.result() for segment in segments])


class AsyncWriteMethods:
    """Batches, transactions and conditional writes."""

    _botowrap: ClientHooks

    async def batch_write_all(
        self,
        *,
        RequestItems: Mapping[str, Iterable[Any]],  # noqa: N803
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `batch_write_item`, of any size; sends again what is unprocessed."""
        return await run_async(self, write_all(self._botowrap, RequestItems, kwargs))

    async def batch_get_all(
        self,
        *,
        RequestItems: Mapping[str, Any],  # noqa: N803
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `batch_get_item`, of any size; asks again for what is unprocessed."""
        return await run_async(self, get_all(self._botowrap, RequestItems, kwargs))

    async def put_all(self, *, TableName: str, Items: Iterable[Mapping[str, Any]]) -> None:  # noqa: N803
        """Puts all items, in batches."""
        requests = [{"PutRequest": {"Item": item}} for item in Items]
        await self.batch_write_all(RequestItems={TableName: requests})

    def transaction(self, **kwargs: Any) -> AsyncTransaction:
        """A block whose writes happen together or not at all."""
        return AsyncTransaction(self, kwargs)

    async def put_if_absent(self, *, KeyAttribute: str, **kwargs: Any) -> bool:  # noqa: N803
        """Puts an item unless there is one with its key; tells whether it did."""
        return await run_async(self, put_if_absent(kwargs, KeyAttribute))

    async def put_if_newer(self, *, VersionAttribute: str = "Version", **kwargs: Any) -> bool:  # noqa: N803
        """Puts an item unless the stored version is at least as high; tells whether it did."""
        return await run_async(self, put_if_newer(kwargs, VersionAttribute))

    async def put_versioned(self, *, VersionAttribute: str = "Version", **kwargs: Any) -> Item:  # noqa: N803
        """Puts the item's next version if nobody wrote since it was read; returns that version."""
        return await run_async(self, put_versioned(kwargs, VersionAttribute))

    async def update_versioned(
        self,
        *,
        ExpectedVersion: Any,  # noqa: N803
        VersionAttribute: str = "Version",  # noqa: N803
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Updates an item to its next version if it still has the expected one."""
        return await run_async(self, update_versioned(kwargs, ExpectedVersion, VersionAttribute))
