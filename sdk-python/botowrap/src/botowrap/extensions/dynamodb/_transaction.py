"""Transactions that are collected step by step, and sent as one."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

_ACTIONS_MAX = 100


class TransactionActions:
    """The writes that happen together or not at all, with the parameters of boto3's actions."""

    def __init__(self, client: Any, options: dict[str, Any]) -> None:
        self._client = client
        self._options = options
        self.items: list[dict[str, Any]] = []
        self.response: dict[str, Any] | None = None

    def put(self, **params: Any) -> Self:
        """Adds a `Put`."""
        return self._add("Put", params)

    def update(self, **params: Any) -> Self:
        """Adds an `Update`."""
        return self._add("Update", params)

    def delete(self, **params: Any) -> Self:
        """Adds a `Delete`."""
        return self._add("Delete", params)

    def check(self, **params: Any) -> Self:
        """Adds a `ConditionCheck`."""
        return self._add("ConditionCheck", params)

    def _add(self, kind: str, params: dict[str, Any]) -> Self:
        if len(self.items) >= _ACTIONS_MAX:
            raise ValueError(f"a transaction has at most {_ACTIONS_MAX} actions")
        self.items.append({kind: params})
        return self


class Transaction(TransactionActions):
    """Sent at the end of its `with` block, unless that is left by an exception."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.items:
            self.response = self._client.transact_write_items(
                TransactItems=self.items, **self._options
            )


class AsyncTransaction(TransactionActions):
    """Sent at the end of its `async with` block, unless that is left by an exception."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.items:
            self.response = await self._client.transact_write_items(
                TransactItems=self.items, **self._options
            )
