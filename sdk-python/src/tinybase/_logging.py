"""Records of `logging` on their way to the server's log, with level, logger and invocation.

The handler goes onto the root logger as soon as anything imports `logging`, and not before: most
of an extension's start would be spent on that import.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

from tinybase._invocation import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    # level, logger, message, invocation id, seconds since the epoch, further facts as JSON
    Line = tuple[int, str, str, str, float, str]
    Sink = Callable[[Line], None]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_EARLY_MAX = 1000


class LogRelay:
    """Keeps lines until the server is there, then passes them on."""

    def __init__(self) -> None:
        self._level = 0
        self._early: list[Line] = []
        self._dropped = 0
        self._sink: Sink = self._keep

    def install(self) -> None:
        """Puts a handler onto the root logger, now or once `logging` is imported."""
        if "logging" in sys.modules:
            self._attach(sys.modules["logging"])
        else:
            sys.meta_path.insert(0, _Watcher("logging", self._attach))

    def open(self, level: str, sink: Sink) -> None:
        """Sends on what came so far and what will come, from a level on."""
        self._level = _LEVELS.get(level, _LEVELS["info"])
        self._sink = sink
        for line in self._early:
            if line[0] >= self._level:
                sink(line)
        if self._dropped:
            message = f"{self._dropped} log lines were dropped before the server was there"
            sink((_LEVELS["warning"], "tinybase", message, "", 0.0, ""))
        self._early.clear()
        self._set_level()

    def dump(self) -> None:
        """Writes what the server never got to standard error."""
        for level, logger, message, *_ in self._early:
            name = next((name for name, value in _LEVELS.items() if value >= level), "error")
            sys.stderr.write(f"{name} {logger}: {message}\n")
        self._early.clear()

    def write(self, line: Line) -> None:
        """Takes one line."""
        self._sink(line)

    def _keep(self, line: Line) -> None:
        if len(self._early) < _EARLY_MAX:
            self._early.append(line)
        else:
            self._dropped += 1

    def _attach(self, logging: ModuleType) -> None:
        from tinybase._log_handler import RelayHandler

        logging.root.addHandler(RelayHandler(self.write))
        self._set_level()

    def _set_level(self) -> None:
        """Lets the root logger pass what the server keeps, unless the author has set a level."""
        logging = sys.modules.get("logging")
        if logging is not None and logging.root.level in (logging.WARNING, logging.NOTSET):
            logging.root.setLevel(self._level)


def invocation_id() -> str:
    """The id of the invocation that runs here, if one does."""
    invocation = current.get()
    return "" if invocation is None else invocation.id


class _Watcher:
    """Finds one module as usual and says when it was imported."""

    def __init__(self, name: str, imported: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._imported = imported

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            _call_after(spec.loader, self._imported)
        return spec


def _call_after(loader: Loader, imported: Callable[[ModuleType], None]) -> None:
    """Makes one loader, which belongs to one module, call back when the module is there."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        imported(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]
