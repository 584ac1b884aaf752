"""How a handler ended, for a test to look at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tinybase import _json
from tinybase.testing._invocation import FakeInvocation

if TYPE_CHECKING:
    from tinybase._dispatch import Entry
    from tinybase._invocation import Outcome


class Rejected(Exception):  # noqa: N818 - an event, as the server has it
    """The extension refused: the client would get this status."""

    def __init__(self, outcome: tuple[Any, ...]) -> None:
        _, self.status, self.code, self.message, self.violations = outcome
        super().__init__(f"{self.status} {self.code}: {self.message}")


class Faulted(Exception):  # noqa: N818 - as above
    """The extension failed: `error_type`, `message`, and the `stack` that would be in the log."""

    def __init__(self, outcome: tuple[Any, ...]) -> None:
        _, self.error_type, self.message, self.stack, self.retry_after_ms = outcome
        super().__init__(f"{self.error_type}: {self.message}\n{self.stack}")


class Call:
    """Work that was begun."""

    def __init__(self, entry: Entry, invocation: FakeInvocation, *, is_async: bool) -> None:
        self.invocation = invocation
        self._entry: Any = entry
        self._is_async = is_async
        self._over = threading.Event()
        self._outcome: Outcome = None
        invocation.finish = self._finish

    def start(self) -> Call:
        """Begins, beside the test."""
        if self._is_async:
            self._submit()
        else:
            threading.Thread(target=self.run, daemon=True).start()
        return self

    def run(self) -> Call:
        """Runs to the end."""
        if self._is_async:
            self._submit()
            self._over.wait()
        else:
            self._finish(self._entry(self.invocation))
        return self

    def cancel(self) -> None:
        """Says that the outcome is no longer wanted, as the server does."""
        self.invocation.cancelled = True
        if self._is_async:
            from tinybase import _aio

            _aio.loop().cancel(self.invocation.id)

    @property
    def chunks(self) -> list[Any]:
        """What a generator has yielded up to now."""
        return [_json.loads(text) for text in self.invocation.chunks]

    @property
    def over(self) -> bool:
        """Whether it ended."""
        return self._over.is_set()

    def wait(self, timeout: float = 10) -> Outcome:
        """Waits for the end and returns the bare outcome.

        Raises:
            TimeoutError: If it takes longer than so many seconds.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"{self.invocation.handler} didn't end within {timeout} s")
        return self._outcome

    def result(self, timeout: float = 10) -> Any:  # noqa: ANN401 - JSON
        """Waits for the end and returns the output, or a before-hook's patch.

        Of a generator it is the list of what it yielded.

        Raises:
            Rejected: If it refused.
            Faulted: If it failed.
            TimeoutError: If it takes longer than so many seconds.
        """
        match self.wait(timeout):
            case None if self.invocation.takes_chunks:
                return self.chunks
            case None:
                return None
            case ("reject", *_) as outcome:
                raise Rejected(outcome)
            case ("fault", *_) as outcome:
                raise Faulted(outcome)
            case (_, output, patch):
                text = patch if output is None else output
                return _json.loads(text) if text else None

    def _submit(self) -> None:
        from tinybase import _aio

        _aio.loop().submit([(self._entry, self.invocation)])

    def _finish(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._over.set()
