"""Inside an extension of TinyBase: attached when its process starts, detached when it ends.

Needs the Python SDK, which every extension's environment has; it is imported when it is used, so
that the rest of this library works without it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from botowrap.core import ExtensionManager

__all__ = ["invocation_deadline", "supervise"]

Manager = TypeVar("Manager", bound=ExtensionManager)

_MARGIN = timedelta(seconds=1)


def supervise(manager: Manager) -> Manager:
    """Bootstraps the manager once the process is ready, and tears it down when it drains.

    To be called while the extension is imported. Make clients in handlers, not at import: those
    of before `bootstrap` stay as they are. If something does not attach, the error is in the
    extension's log, what did attach is used, and a later `bootstrap` tries the rest again.
    """
    from tinybase.extensions import on_shutdown, on_startup

    on_startup(manager.bootstrap)
    on_shutdown(manager.teardown)
    return manager


def invocation_deadline() -> datetime | None:
    """Until when whoever invoked the running handler waits, less the time to answer.

    For `DynamoDBConfig(deadline=invocation_deadline)`. None outside of handlers.
    """
    from tinybase.functions import current_context

    try:
        until: datetime = current_context().deadline
    except LookupError:
        return None
    return until - _MARGIN
