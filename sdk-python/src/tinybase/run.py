"""The process of an extension: `python -m tinybase.run`, started by the server.

Imports the extension in the folder, registers what it has, and works until the server ends it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybase import _native
    from tinybase._logging import LogRelay
    from tinybase._registry import Registry

_PHASES = {"before": 1, "after": 2}
_AUTH = {"public": 1, "auth": 2, "admin": 3}
_MISSED = {"skip": 1, "run_once": 2, "run_all": 3}
_OVERLAP = {"skip": 1, "queue": 2, "allow": 3}


def main() -> int:
    """Runs the extension and returns the exit code: 0 only if the server ended it."""
    _prepare()
    from tinybase import _logging

    relay = _logging.LogRelay()
    relay.install()
    folder = os.environ.get("TINYBASE_EXTENSION_DIR") or os.getcwd()
    loaded = _load(folder)
    if loaded is None:
        relay.dump()
        return 1
    registry, package, version = loaded
    from tinybase import _native

    hooks = _hooks(registry, package)
    try:
        rows = _functions(registry), _schedules(registry)
        session = _native.open(hooks, *rows, version)
    except ConnectionError as error:
        relay.dump()
        sys.stderr.write(f"tinybase: {error}\n")
        return 1
    return _serve(session, relay, hooks)


def _prepare() -> None:
    """Puts the process in order before anything of the author's runs."""
    # `-m` puts the working folder first; an extension's own `types.py` must not hide Python's.
    if sys.path and sys.path[0] in ("", os.getcwd()) and not sys.flags.safe_path:
        del sys.path[0]
    for stream in (sys.stdout, sys.stderr):
        # A line must leave when it is printed, and no character may stop a `print`.
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True
        )


def _load(folder: str) -> tuple[Registry, str, str] | None:
    from tinybase import _loader, _registry

    registry = _registry.Registry()
    try:
        with _registry.use(registry):
            package = _loader.load(folder, os.environ.get("TINYBASE_EXTENSION", ""))
    except _loader.LoadError as error:
        sys.stderr.write(f"tinybase: {error}\n")
        return None
    except BaseException as error:  # noqa: BLE001 - SystemExit too: it may not look like success
        _report(error)
        return None
    version = getattr(package, "__version__", "")
    return registry, package.__name__, version if isinstance(version, str) else ""


def _report(error: BaseException) -> None:
    from tinybase._fault import stack_of

    what = type(error).__name__
    if isinstance(error, SystemExit):
        what = f"it called sys.exit({error.code!r})"
    sys.stderr.write(f"{stack_of(error)}\ntinybase: the extension can't be imported: {what}\n")
    sys.stderr.flush()


def _hooks(registry: Registry, package: str) -> list[_native.HookTuple]:
    from tinybase._dispatch import hook_entry

    rows: list[_native.HookTuple] = []
    for name, hook in registry.named_hooks(package):
        subject = hook.filter or ""
        filters = ("", subject) if hook.event.startswith("function.") else (subject, "")
        binding = (hook.event, _PHASES[hook.phase], *filters, name)
        options = (hook.priority, hook.timeout_ms, hook.reentrant)
        rows.append((*binding, *options, hook_entry(hook), hook.is_async))
    return rows


def _functions(registry: Registry) -> list[_native.FunctionTuple]:
    from tinybase._dispatch import function_entry
    from tinybase._models import schema_of

    rows: list[_native.FunctionTuple] = []
    for f in registry.functions.values():
        schemas = schema_of(f.input_model, output=False), schema_of(f.output_model, output=True)
        binding = (f.name, f.description, _AUTH[f.auth], *schemas, f.tags, f.timeout_ms)
        rows.append((*binding, f.concurrency, f.streams, function_entry(f), f.is_async))
    return rows


def _schedules(registry: Registry) -> list[_native.ScheduleTuple]:
    rows: list[_native.ScheduleTuple] = []
    for name, function, s in registry.named_schedules():
        policies = _MISSED[s.missed], _OVERLAP[s.overlap]
        rows.append((name, function, s.timing, s.input, *policies, s.timeout_ms, s.jitter_ms))
    return rows


def _serve(session: _native.Session, relay: LogRelay, hooks: list[_native.HookTuple]) -> int:
    relay.open(session.log_level, session.log)
    end, message = session.run()
    # From here on a signal ends the process at once.
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if message:
        sys.stderr.write(f"tinybase: {message}\n")
    if end == "terminated" and not session.drained:
        _run_shutdown_hooks(hooks)
    free = session.close()
    if not free or end == "lost":
        # A handler that never returns holds a thread; or the server is gone, and nobody waits.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if end in ("ended", "terminated") else 1)
    if "tinybase._aio" in sys.modules:
        from tinybase import _aio

        _aio.stop()
    return 0 if end in ("ended", "terminated") else 1


def _run_shutdown_hooks(hooks: list[_native.HookTuple]) -> None:
    """For a signal that came without the server's drain."""
    for event, *_, entry, is_async in hooks:
        if event == "shutdown":
            outcome: Any = entry(None)  # type: ignore[arg-type]
            if is_async:
                from tinybase import _aio

                outcome = _aio.loop().finish(outcome)
            if outcome is not None and outcome[0] == "fault":
                sys.stderr.write(f"{outcome[3]}\n")


if __name__ == "__main__":
    sys.exit(main())
