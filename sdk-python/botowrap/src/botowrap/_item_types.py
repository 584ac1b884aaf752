"""Types that the types of both kinds of clients share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, Self

Item = dict[str, Any]
Response = dict[str, Any]


class Items(Iterator[Item], Protocol):
    """Items that are read as they are asked for."""

    @property
    def resume_token(self) -> str | None:
        """Text with which a later iteration goes on after the last item; none at the end."""


class AsyncItems(Protocol):
    """Items that are read as they are asked for."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Item: ...

    @property
    def resume_token(self) -> str | None:
        """Text with which a later iteration goes on after the last item; none at the end."""


class TransactionSteps(Protocol):
    """The writes of a transaction."""

    response: Response | None

    def put(self, **params: Any) -> Self:
        """Adds a `Put`."""

    def update(self, **params: Any) -> Self:
        """Adds an `Update`."""

    def delete(self, **params: Any) -> Self:
        """Adds a `Delete`."""

    def check(self, **params: Any) -> Self:
        """Adds a `ConditionCheck`."""
