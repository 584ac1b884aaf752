"""The harness: loads an extension and plays the server's part."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from tinybase import _json, _loader, _registry
from tinybase._dispatch import function_entry, hook_entry
from tinybase._registry import AFTER, BEFORE, Function, Hook, Registry
from tinybase.testing._events import Event, event_name, fill, record_event
from tinybase.testing._invocation import FakeInvocation
from tinybase.testing._logs import LogCapture
from tinybase.testing._outcome import Call, Faulted, Rejected
from tinybase.testing._server import FakeServer

if TYPE_CHECKING:
    from datetime import datetime

    from tinybase._dispatch import Entry
    from tinybase.data import StoredRecord, StoredUser


class Harness:
    """An extension in a test.

    Args:
        extension: The extension's folder, or a module or a registry that has its decorators.
        config: The extension's configuration.
    """

    def __init__(
        self,
        extension: str | Path | ModuleType | Registry,
        *,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.server = FakeServer(config)
        self.failures: list[Faulted] = []
        """What after-hooks raised. It changes no result, as on the server."""
        self._folder: str | None = None
        self._log = LogCapture(self.server.logs)
        self._running: list[Call] = []
        self._pending: list[tuple[Event, int]] = []
        self._up = False
        self._registry = self._load(extension)
        package = "" if self._folder is None else _loader.package_name(self._folder)
        self._hooks: list[tuple[str, Hook, Entry]] = [
            (name, hook, hook_entry(hook)) for name, hook in self._registry.named_hooks(package)
        ]
        self._functions: dict[str, tuple[Function, Entry]] = {
            name: (it, function_entry(it)) for name, it in self._registry.functions.items()
        }
        self.server.written = self._written
        self.server.called = self.call

    def __enter__(self) -> Self:
        self._log.install()
        self._up = True
        self._lifecycle("startup")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.shutdown()
        finally:
            self._log.remove()
            if self._folder is not None:
                _loader.unload(self._folder)
            from tinybase import _aio

            _aio.stop()

    @property
    def hooks(self) -> list[str]:
        """The names of the hooks, as the server would see them."""
        return [name for name, *_ in self._hooks]

    @property
    def functions(self) -> list[str]:
        """The names of the functions."""
        return [*self._functions]

    # What clients do.

    def call(self, name: str, payload: object = None, user: StoredUser | None = None) -> Any:  # noqa: ANN401 - JSON
        """Calls a function as a client does, hooks included, and returns its result.

        Who may call it is the server's to check, and isn't checked here.

        Raises:
            Rejected: If the function or a before-hook refused.
            Faulted: If it failed.
        """
        return self._complete(self._begin(name, payload, user).run())

    def start(self, name: str, payload: object = None, user: StoredUser | None = None) -> Call:
        """Begins a call beside the test, to be cancelled or waited for."""
        return self._begin(name, payload, user).start()

    def create_record(
        self, collection: str, data: dict[str, Any], owner: StoredUser | None = None
    ) -> StoredRecord:
        """Creates a record as a client does: before-hooks, the write, after-hooks.

        Raises:
            Rejected: If a before-hook refused.
            Faulted: If a before-hook failed.
        """
        owner_id = None if owner is None else owner.id
        facts: dict[str, Any] = {"collection": collection, "owner_id": str(owner_id or "")}
        data = self._before("record.create", collection, facts, data)
        record = self.server.add_record(collection, data, owner_id=owner_id)
        self.fire(record_event("record.create", record, {}), version=record.version)
        return record

    def update_record(self, id: UUID, data: dict[str, Any]) -> StoredRecord:
        """Changes a record as a client does."""
        old = self.server.records[id]
        facts = self._record_facts(old) | {"old_data": _json.dumps(old.data)}
        data = self._before("record.update", old.collection, facts, old.data | data)
        record = self.server.change_record(id, data)
        self.fire(record_event("record.update", record, old.data), version=record.version)
        return record

    def delete_record(self, id: UUID) -> None:
        """Deletes a record as a client does."""
        record = self.server.records[id]
        self._before("record.delete", record.collection, self._record_facts(record), record.data)
        del self.server.records[id]
        self.fire(record_event("record.delete", record, {}), version=record.version + 1)

    def register_user(self, email: str, *, is_admin: bool = False) -> StoredUser:
        """Registers a user as a client does."""
        from tinybase.extensions import UserRegisterEvent

        self._before("user.register", None, {"email": email}, None)
        user = self.server.add_user(email, is_admin=is_admin)
        self.fire(UserRegisterEvent(user.id, email))
        return user

    def login(self, user: StoredUser) -> None:
        """Logs a user in."""
        from tinybase.extensions import UserLoginEvent

        facts = {"user_id": str(user.id), "email": user.email, "is_admin": user.is_admin}
        self._before("user.login", None, facts, None)
        self.fire(UserLoginEvent(user.id, user.email, user.is_admin))

    # What the server does.

    def fire(
        self,
        event: Event,
        *,
        attempt: int = 1,
        reentrant: bool = False,
        version: int = 0,
        occurred_at: datetime | None = None,
    ) -> None:
        """Delivers an event to the after-hooks that want it; what they raise is in `failures`.

        Args:
            event: The event.
            attempt: The delivery's count.
            reentrant: Whether only hooks that want the extension's own writes are meant.
            version: For a record's event, its version with this change.
            occurred_at: When it happened; now, unless given.
        """
        name, subject = event_name(event)
        for invocation, hook, entry in self._matching(name, AFTER, subject):
            if reentrant and not hook.reentrant:
                continue
            invocation.attempt, invocation.version = attempt, version
            invocation.occurred_at = (occurred_at or self.server.clock.now).isoformat()
            fill(invocation, event)
            self._tolerate(Call(entry, invocation, is_async=hook.is_async))
        while self._pending:
            written, version = self._pending.pop(0)
            self.fire(written, reentrant=True, version=version)

    def shutdown(self) -> None:
        """Drains: cancels what runs, waits for it, and runs the shutdown hooks. Once."""
        if not self._up:
            return
        self._up = False
        for call in self._running:
            if not call.over:
                call.cancel()
                call.wait()
        self._lifecycle("shutdown")

    # How it does it.

    def _load(self, extension: str | Path | ModuleType | Registry) -> Registry:
        if isinstance(extension, Registry):
            return extension
        if isinstance(extension, ModuleType):
            path = extension.__file__ or ""
            extension = Path(path).parent if path.endswith("__init__.py") else Path(path)
        self._folder = str(Path(extension).resolve())
        registry = Registry()
        with _registry.use(registry):
            if self._folder.endswith(".py"):
                _loader.load_file(self._folder)
            else:
                _loader.unload(self._folder)
                _loader.load(self._folder)
        return registry

    def _begin(self, name: str, payload: object, user: StoredUser | None) -> Call:
        from tinybase.extensions import FunctionCallEvent

        if name not in self._functions:
            raise LookupError(f"no function {name!r}; there are {', '.join(self._functions)}")
        function, entry = self._functions[name]
        user_id = "" if user is None else str(user.id)
        facts: dict[str, Any] = {
            "name": name,
            "user_id": user_id,
            "is_admin": bool(user and user.is_admin),
        }
        body = {} if payload is None else _json.loads(_json.dumps(payload))
        body = self._before("function.call", name, facts, body)
        self.fire(FunctionCallEvent(name, None if user is None else user.id, body))
        invocation = FakeInvocation(self.server, "function.invoke", name, **facts)
        invocation.input, invocation.call_id = _json.dumps(body), str(uuid4())
        invocation.trigger_type, invocation.takes_chunks = "manual", function.streams
        call = Call(entry, invocation, is_async=function.is_async)
        self._running = [it for it in self._running if not it.over] + [call]
        return call

    def _complete(self, call: Call) -> Any:  # noqa: ANN401 - JSON
        from tinybase.extensions import FunctionCompleteEvent

        it = call.invocation
        user_id = UUID(it.user_id) if it.user_id else None
        try:
            result = call.result()
        except (Rejected, Faulted) as error:
            kind = getattr(error, "error_type", getattr(error, "code", "")) or "Reject"
            self.fire(FunctionCompleteEvent(it.name, user_id, "failed", 0, error.message, kind))
            raise
        self.fire(FunctionCompleteEvent(it.name, user_id, "succeeded", 0))
        return result

    def _before(self, event: str, subject: str | None, facts: dict[str, Any], data: Any) -> Any:  # noqa: ANN401 - JSON
        hooks = sorted(self._matching(event, BEFORE, subject), key=lambda it: it[1].priority)
        for invocation, hook, entry in hooks:
            for name, value in facts.items():
                setattr(invocation, name, value)
            text = "" if data is None else _json.dumps(data)
            setattr(invocation, "input" if event == "function.call" else "data", text)
            patch = Call(entry, invocation, is_async=hook.is_async).run().result()
            if patch and isinstance(data, dict):
                data = _merge(data, patch)
        return data

    def _matching(
        self, event: str, phase: str, subject: str | None
    ) -> list[tuple[FakeInvocation, Hook, Entry]]:
        return [
            (FakeInvocation(self.server, event, name, phase), hook, entry)
            for name, hook, entry in self._hooks
            if (hook.event, hook.phase) == (event, phase) and hook.filter in (None, subject)
        ]

    def _lifecycle(self, event: str) -> None:
        for invocation, hook, entry in self._matching(event, AFTER, None):
            self._tolerate(Call(entry, invocation, is_async=hook.is_async))

    def _tolerate(self, call: Call) -> None:
        try:
            call.run().result()
        except Faulted as fault:
            self.failures.append(fault)

    def _written(self, event: str, record: StoredRecord, before: dict[str, Any]) -> None:
        version = record.version + (event == "record.delete")
        self._pending.append((record_event(event, record, before), version))

    @staticmethod
    def _record_facts(record: StoredRecord) -> dict[str, Any]:
        owner = str(record.owner_id or "")
        ids = {"record_id": str(record.id), "owner_id": owner}
        return {"collection": record.collection, **ids}


def _merge(data: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396."""
    merged = {name: value for name, value in data.items() if patch.get(name, ...) is not None}
    for name, value in patch.items():
        if isinstance(value, dict):
            former = merged.get(name)
            merged[name] = _merge(former if isinstance(former, dict) else {}, value)
        elif value is not None:
            merged[name] = value
    return merged
