"""The client side of the protocol, in Rust: `sdk-python/native`."""

from tinybase._dispatch import Entry
from tinybase._host import Host
from tinybase._logging import Line

# event, phase, collection, function, handler, priority, timeout in milliseconds, reentrant,
# entry, whether the entry is asynchronous
HookTuple = tuple[str, int, str, str, str, int, int, bool, Entry, bool]
# name, description, auth, input schema, output schema, tags, timeout in milliseconds, how many
# calls at a time, whether it streams, entry, whether the entry is asynchronous
FunctionTuple = tuple[str, str, int, str, str, list[str], int, int, bool, Entry, bool]
# name, function, timing, input, policy for missed ticks, policy for overlaps, timeout and jitter in
# milliseconds
ScheduleTuple = tuple[str, str, str, str, int, int, int, int]

class Session:
    """A session that the server accepted."""

    @property
    def log_level(self) -> str:
        """The level from which the server keeps log lines."""

    @property
    def host(self) -> Host:
        """The way to call the server."""

    @property
    def drained(self) -> bool:
        """Whether the server has begun to end the session, shutdown hooks included."""

    def log(self, line: Line) -> None:
        """Sends a log line, without waiting."""

    def run(self) -> tuple[str, str]:
        """Works until the end; returns "ended", "terminated", "refused" or "lost", and why."""

    def close(self) -> bool:
        """Sends what is left of the log; returns whether no thread is held by a handler."""

def open(
    hooks: list[HookTuple],
    functions: list[FunctionTuple],
    schedules: list[ScheduleTuple],
    version: str,
) -> Session:
    """Dials the server, introduces the extension and registers what it handles.

    Raises:
        ConnectionError: With a sentence that a person can act on.
    """
