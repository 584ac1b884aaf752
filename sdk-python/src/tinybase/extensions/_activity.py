"""Notes for the server's activity log, which administrators read."""

from __future__ import annotations

from tinybase._invocation import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol
    from uuid import UUID

    class ActivityLogger(Protocol):
        """Notes something that was done."""

        def __call__(
            self,
            action: str,
            resource_type: str | None = None,
            resource_id: str | UUID | None = None,
            user_id: str | UUID | None = None,
            meta_data: Mapping[str, object] | None = None,
            ip_address: str | None = None,
        ) -> None: ...


def log_extension_activity(
    action: str,
    resource_type: str | None = None,
    resource_id: str | UUID | None = None,
    user_id: str | UUID | None = None,
    meta_data: Mapping[str, object] | None = None,
    ip_address: str | None = None,
) -> None:
    """Notes `ext.<name of the extension>.<action>` in the server's activity log.

    It never raises: what couldn't be noted is in the extension's log. To be called in a handler.

    Args:
        action: What was done: letters, digits, `_`, `-` and `.`.
        resource_type: What kind of thing it was done to.
        resource_id: Which one.
        user_id: Who did it; whoever caused the call unless given.
        meta_data: More about it, at most 8 KiB of JSON.
        ip_address: Where it was done from.
    """
    try:
        _note(action, resource_type, resource_id, user_id, meta_data, ip_address)
    except Exception:
        import logging

        logging.getLogger(__name__).exception("the activity %r was not noted", action)


def create_activity_logger(extension_name: str) -> ActivityLogger:
    """The same as `log_extension_activity`, for those who name their extension.

    The server knows which extension it is, and notes that one's name whatever is given here.

    Args:
        extension_name: The extension's name.
    """
    if not isinstance(extension_name, str) or not extension_name:
        raise TypeError(
            f"create_activity_logger takes the extension's name, not {extension_name!r}"
        )
    return log_extension_activity


def _note(
    action: str,
    resource_type: str | None,
    resource_id: str | UUID | None,
    user_id: str | UUID | None,
    meta_data: Mapping[str, object] | None,
    ip_address: str | None,
) -> None:
    from tinybase import _json

    invocation = current.get()
    if invocation is None:
        raise LookupError("an activity can be noted within a handler only")
    metadata = "" if meta_data is None else _json.dumps(dict(meta_data))
    texts = (resource_type, resource_id, user_id)
    kind, id, user = ("" if text is None else str(text) for text in texts)
    invocation.host.write_activity(
        invocation, (str(action), kind, id, user, metadata, ip_address or "")
    )
