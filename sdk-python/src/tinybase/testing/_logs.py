"""What the extension logs in a test."""

from __future__ import annotations

import logging

from tinybase._log_handler import RelayHandler
from tinybase.testing._server import LogLine


class LogCapture:
    """Keeps lines from every level on, as a server with `log_level = "debug"` does."""

    def __init__(self, lines: list[LogLine]) -> None:
        self._handler = RelayHandler(
            lambda it: lines.append(LogLine(it[0], it[1], it[2], it[3], it[5]))
        )
        self._former_level = logging.WARNING

    def install(self) -> None:
        """Starts."""
        self._former_level = logging.root.level
        logging.root.addHandler(self._handler)
        logging.root.setLevel(logging.DEBUG)

    def remove(self) -> None:
        """Ends."""
        logging.root.removeHandler(self._handler)
        logging.root.setLevel(self._former_level)
