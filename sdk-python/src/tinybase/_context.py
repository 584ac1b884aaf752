"""What a handler can know of the work it does, and what it can ask of the server."""

from __future__ import annotations

from tinybase._invocation import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any, Literal
    from uuid import UUID

    from tinybase._host import Scope
    from tinybase._invocation import Invocation
    from tinybase.data import Collections, Records, Users, Values
    from tinybase.db import Session


class Context:
    """One invocation: who caused it, how much time it has, and the server's data.

    What is read and written through it acts for whoever caused the invocation.
    """

    __slots__ = ("_db", "_invocation", "_scope")

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._scope: Scope = invocation
        self._db: Session | None = None

    def __repr__(self) -> str:
        name = self._invocation.name or self._invocation.handler
        return f"<Context of {name}, invocation {self._invocation.id}>"

    def as_extension(self) -> Context:
        """The same context, but acting for the extension itself and with its own rights."""
        other = Context(self._invocation)
        other._scope = None
        return other

    # The documented fields.

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._invocation.name

    @property
    def trigger_type(self) -> Literal["manual", "schedule"]:
        """What caused the call."""
        return "schedule" if self._invocation.trigger_type == "schedule" else "manual"

    @property
    def trigger_id(self) -> UUID | None:
        """The schedule's id, if one caused the call."""
        return self._optional(self._invocation.trigger_id)

    @property
    def request_id(self) -> UUID | None:
        """The recorded call's id; none in a hook."""
        return self._optional(self._invocation.call_id)

    @property
    def user_id(self) -> UUID | None:
        """The caller, if logged in."""
        return self._optional(self._invocation.user_id)

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator."""
        return self._invocation.is_admin

    @property
    def now(self) -> datetime:
        """The time now, in UTC and aware of it."""
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self._invocation.host.now(), UTC)

    @property
    def db(self) -> Session:
        """Records, users and collections in the manner of SQLModel."""
        if self._db is None:
            from tinybase.db import Session

            self._db = Session(self._invocation.host, self._scope)
        return self._db

    @property
    def request(self) -> None:
        """Always none: an extension doesn't see the HTTP request."""
        return

    # Further fields.

    @property
    def cancelled(self) -> bool:
        """Whether the outcome is no longer wanted; a long `def` handler looks at it and stops."""
        return self._invocation.cancelled

    @property
    def deadline(self) -> datetime:
        """When the time is over, in UTC and aware of it."""
        from datetime import timedelta

        return self.now + timedelta(milliseconds=self._invocation.remaining_ms)

    @property
    def attempt(self) -> int:
        """The delivery's count, from 1; more means that an earlier one may have had an effect."""
        return self._invocation.attempt

    @property
    def event_id(self) -> str:
        """The event's id, the same at every attempt: what to deduplicate by."""
        return self._invocation.event_id

    @property
    def occurred_at(self) -> datetime:
        """When the event happened, which may be long ago; now, if nothing says so."""
        from tinybase import _json

        text = self._invocation.occurred_at
        return _json.parse_time(text) if text else self.now

    @property
    def record_version(self) -> int:
        """In a record's hook, its version with this change; 0 elsewhere.

        1 for a creation, one more for each change and for the deletion. Ids aren't used again, so
        of two events of one record the higher version is the later one.
        """
        return self._invocation.version

    @property
    def traceparent(self) -> str:
        """The W3C trace context, to be passed on."""
        return self._invocation.traceparent

    @property
    def config(self) -> dict[str, Any]:
        """The extension's configuration."""
        from tinybase import _json

        config: dict[str, Any] = _json.loads(self._invocation.host.config or "{}")
        return config

    @property
    def records(self) -> Records:
        """The records of all collections."""
        from tinybase.data import Records

        return Records(self._invocation.host, self._scope)

    @property
    def users(self) -> Users:
        """The users."""
        from tinybase.data import Users

        return Users(self._invocation.host, self._scope)

    @property
    def collections(self) -> Collections:
        """The collections and their schemas."""
        from tinybase.data import Collections

        return Collections(self._invocation.host, self._scope)

    @property
    def values(self) -> Values:
        """Bytes that this extension keeps under keys of its own."""
        from tinybase.data import Values

        return Values(self._invocation.host, self._scope)

    def call(self, name: str, payload: object = None) -> Any:  # noqa: ANN401 - JSON
        """Calls a function of any extension and returns its result.

        Raises:
            CallFailed: If the function failed.
        """
        from tinybase.data import call_function

        return call_function(self._invocation.host, self._scope, name, payload)

    @staticmethod
    def _optional(text: str) -> UUID | None:
        from tinybase import _json

        return _json.parse_optional_uuid(text)


def current_context() -> Context:
    """The context of the hook or function that runs in this thread or task.

    Raises:
        LookupError: Outside of a handler, such as while the extension is imported.
    """
    invocation = current.get()
    if invocation is None:
        raise LookupError("no handler runs here; hooks and functions have a context, imports don't")
    return Context(invocation)
