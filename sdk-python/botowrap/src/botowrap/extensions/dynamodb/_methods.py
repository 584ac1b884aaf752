"""The methods that clients get."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botowrap.extensions.dynamodb._batches import get_all, write_all
from botowrap.extensions.dynamodb._flows import run
from botowrap.extensions.dynamodb._hooks import ClientHooks
from botowrap.extensions.dynamodb._pages import Cursor, ItemIterator, add_up, all_pages
from botowrap.extensions.dynamodb._transaction import Transaction
from botowrap.extensions.dynamodb._versions import (
    put_if_absent,
    put_if_newer,
    put_versioned,
    update_versioned,
)

Item = dict[str, Any]


class PageMethods:
    """Reads all pages."""

    def query_all(self, **kwargs: Any) -> dict[str, Any]:
        """All items that `query` finds, on however many pages."""
        return run(self, all_pages("query", kwargs))

    def scan_all(self, **kwargs: Any) -> dict[str, Any]:
        """All items that `scan` finds, on however many pages."""
        return run(self, all_pages("scan", kwargs))

    def query_iter(
        self,
        *,
        max_items: int | None = None,
        max_pages: int | None = None,
        resume_token: str | None = None,
        **kwargs: Any,
    ) -> ItemIterator:
        """The items that `query` finds, one by one."""
        cursor = Cursor(kwargs, max_items, max_pages, resume_token)
        return ItemIterator(getattr(self, "query"), cursor)  # noqa: B009

    def scan_iter(
        self,
        *,
        max_items: int | None = None,
        max_pages: int | None = None,
        resume_token: str | None = None,
        **kwargs: Any,
    ) -> ItemIterator:
        """The items that `scan` finds, one by one."""
        cursor = Cursor(kwargs, max_items, max_pages, resume_token)
        return ItemIterator(getattr(self, "scan"), cursor)  # noqa: B009

    def parallel_scan(self, *, TotalSegments: int = 4, **kwargs: Any) -> dict[str, Any]:  # noqa: N803
        """All items that `scan` finds, with one thread for each segment of the table."""
        with ThreadPoolExecutor(TotalSegments, "botowrap-scan") as pool:
            segments = [
                # With this context, so that the caller's deadline holds in the threads too.
                pool.submit(
                    contextvars.copy_context().run,
                    lambda number=number: self.scan_all(
                        Segment=number, TotalSegments=TotalSegments, **kwargs
                    ),
                )
                for number in range(TotalSegments)
            ]
        return merge_segments([segment.result() for segment in segments])


class WriteMethods:
    """Batches, transactions and conditional writes."""

    _botowrap: ClientHooks

    def batch_write_all(
        self,
        *,
        RequestItems: Mapping[str, Iterable[Any]],  # noqa: N803
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `batch_write_item`, of any size; sends again what is unprocessed."""
        return run(self, write_all(self._botowrap, RequestItems, kwargs))

    def batch_get_all(
        self,
        *,
        RequestItems: Mapping[str, Any],  # noqa: N803
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `batch_get_item`, of any size; asks again for what is unprocessed."""
        return run(self, get_all(self._botowrap, RequestItems, kwargs))

    def put_all(self, *, TableName: str, Items: Iterable[Mapping[str, Any]]) -> None:  # noqa: N803
        """Puts all items, in batches."""
        requests = [{"PutRequest": {"Item": item}} for item in Items]
        self.batch_write_all(RequestItems={TableName: requests})

    def transaction(self, **kwargs: Any) -> Transaction:
        """A block whose writes happen together or not at all."""
        return Transaction(self, kwargs)

    def put_if_absent(self, *, KeyAttribute: str, **kwargs: Any) -> bool:  # noqa: N803
        """Puts an item unless there is one with its key; tells whether it did."""
        return run(self, put_if_absent(kwargs, KeyAttribute))

    def put_if_newer(self, *, VersionAttribute: str = "Version", **kwargs: Any) -> bool:  # noqa: N803
        """Puts an item unless the stored version is at least as high; tells whether it did."""
        return run(self, put_if_newer(kwargs, VersionAttribute))

    def put_versioned(self, *, VersionAttribute: str = "Version", **kwargs: Any) -> Item:  # noqa: N803
        """Puts the item's next version if nobody wrote since it was read; returns that version."""
        return run(self, put_versioned(kwargs, VersionAttribute))

    def update_versioned(
        self,
        *,
        ExpectedVersion: Any,  # noqa: N803
        VersionAttribute: str = "Version",  # noqa: N803
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Updates an item to its next version if it still has the expected one."""
        return run(self, update_versioned(kwargs, ExpectedVersion, VersionAttribute))


def merge_segments(segments: list[dict[str, Any]]) -> dict[str, Any]:
    """One result of those of all segments, in their order."""
    totals: dict[str, Any] = {"Count": 0, "ScannedCount": 0}
    items: list[Item] = []
    for segment in segments:
        items.extend(segment["Items"])
        add_up(totals, segment)
    return {"Items": items, **totals}
