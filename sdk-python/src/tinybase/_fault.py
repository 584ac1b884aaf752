"""From what a handler raised to the outcome that the server gets."""

from __future__ import annotations

import traceback

from tinybase.errors import Reject, Retryable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from tinybase._invocation import Outcome

_OURS = __file__.rpartition("/")[0]
_FRAMES_MAX = 50


def outcome_of(error: BaseException, *, rejects: bool) -> Outcome:
    """The outcome of a handler that raised.

    Args:
        error: What it raised.
        rejects: Whether a refusal means something here; after the fact it is a fault like any.
    """
    if rejects and isinstance(error, Reject):
        return ("reject", error.status, error.code, str(error), error.violations)
    after_ms = round(error.after_seconds * 1000) if isinstance(error, Retryable) else 0
    return ("fault", type(error).__name__, _message(error), stack_of(error), after_ms)


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the handler called sys.exit({error.code!r}); that ends the call, not the extension"
    if type(error).__name__ == "CancelledError":  # Without importing `asyncio` to ask.
        return "the handler was cancelled"
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the author's __str__ may do anything
        return f"a {type(error).__name__} that can't be printed"


def stack_of(error: BaseException) -> str:
    """Where it was raised, as Python prints it, from the author's code on."""
    try:
        trimmed = _without_ours(error.__traceback__)
        lines = traceback.format_exception(type(error), error, trimmed, limit=_FRAMES_MAX)
    except Exception:  # noqa: BLE001 - as above
        return ""
    return "".join(lines).rstrip()


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Leaves out the frames above the author's code. Our own errors keep all that are below."""
    while (
        frames is not None
        and frames.tb_next is not None
        and frames.tb_frame.f_code.co_filename.startswith(_OURS)
    ):
        frames = frames.tb_next
    return frames
