"""What the server offers to extensions, as the native module and the test harness have it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from tinybase._invocation import Invocation

    # id, collection, collection id, owner id, data JSON, created at, updated at, version
    RecordRow = tuple[str, str, str, str, str, str, str, int]
    # id, name, label, schema JSON, options JSON, created at, updated at
    CollectionRow = tuple[str, str, str, str, str, str, str]
    # id, email, whether an administrator, created at, updated at
    UserRow = tuple[str, str, bool, str, str]
    # call id, status, output JSON, error message, error type, duration in milliseconds
    CallRow = tuple[str, str, str, str, str, int]
    # field, comparison ("==", "!=", "<", "<=", ">", ">=", "in"), value JSON
    ConditionRow = tuple[str, str, str]
    # field, whether the largest comes first
    SortRow = tuple[str, bool]
    # collection, conditions, order
    QueryRow = tuple[str, list[ConditionRow], list[SortRow]]

    # action, kind and id of the thing, user id, metadata JSON, address; each may be empty
    ActivityRow = tuple[str, str, str, str, str, str]

    Scope = Invocation | None

    class Host(Protocol):
        """Blocking call-backs. With a scope they act for whoever caused that invocation."""

        def get_record(self, scope: Scope, collection: str, id: str) -> RecordRow: ...
        def list_records(
            self,
            scope: Scope,
            query: QueryRow,
            page: tuple[int, str],
        ) -> tuple[list[RecordRow], str]: ...
        def create_record(
            self, scope: Scope, collection: str, data: str, owner_id: str
        ) -> RecordRow: ...
        def update_record(self, scope: Scope, collection: str, id: str, data: str) -> RecordRow: ...
        def delete_record(self, scope: Scope, collection: str, id: str) -> None: ...
        def list_collections(self, scope: Scope) -> list[CollectionRow]: ...
        def get_user(self, scope: Scope, id: str) -> UserRow: ...
        def call_function(self, scope: Scope, name: str, input: str) -> CallRow: ...
        def get_value(self, scope: Scope, key: str) -> bytes | None: ...
        def set_value(self, scope: Scope, key: str, value: bytes) -> None: ...
        def delete_value(self, scope: Scope, key: str) -> None: ...
        def write_activity(self, scope: Scope, activity: ActivityRow) -> None: ...
        @property
        def config(self) -> str:
            """The extension's configuration as JSON."""
            ...

        def now(self) -> float:
            """The time, in seconds since the epoch."""
            ...
