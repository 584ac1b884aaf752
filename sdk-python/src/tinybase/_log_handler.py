"""The handler on the root logger. Imported once `logging` is."""

from __future__ import annotations

import logging

from tinybase._logging import invocation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybase._logging import Sink

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TEXT_MAX = 32 * 1024
_formatter = logging.Formatter()


class RelayHandler(logging.Handler):
    """Turns records into lines for the server's log."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Passes one record on, with its traceback and its `extra` facts."""
        try:
            message = _formatter.format(record)[:_TEXT_MAX]
            self._sink(
                (
                    record.levelno,
                    record.name,
                    message,
                    invocation_id(),
                    record.created,
                    _facts(record),
                )
            )
        except Exception:  # noqa: BLE001 - as every handler of `logging` does
            self.handleError(record)


def _facts(record: logging.LogRecord) -> str:
    facts = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if not facts:
        return ""
    import json

    return json.dumps(facts, default=repr)[:_TEXT_MAX]
