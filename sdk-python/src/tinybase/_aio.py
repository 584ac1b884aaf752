"""The event loop for `async def` handlers: one, on a thread of its own, made when first needed."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from concurrent.futures import ThreadPoolExecutor
    from typing import Any, Protocol

    from tinybase._invocation import Invocation, Outcome

    class Job(Invocation, Protocol):
        """An invocation that is told how it ended."""

        def finish(self, outcome: Outcome) -> None: ...

    AsyncEntry = Callable[[Invocation], Coroutine[Any, Any, Outcome]]


# As many as an extension has invocations in hand.
_THREADS_MAX = 64


class Loop:
    """Runs handlers side by side in one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._thread = threading.Thread(target=self._main, name="tinybase-asyncio", daemon=True)
        self._thread.start()

    def submit(self, jobs: Iterable[tuple[AsyncEntry, Job]]) -> None:
        """Starts handlers; each invocation is told its outcome. From any thread."""
        self._loop.call_soon_threadsafe(self._start, [*jobs])

    def cancel(self, invocation_id: str) -> None:
        """Cancels a handler, if it still runs. From any thread."""
        self._loop.call_soon_threadsafe(self._cancel, invocation_id)

    def finish(self, awaitable: Awaitable[Any]) -> Any:  # noqa: ANN401 - the awaitable's result
        """Runs an awaitable to its end and waits for that. From any other thread."""

        async def run() -> Any:  # noqa: ANN401 - as above
            return await awaitable

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def stop(self) -> None:
        """Cancels what runs, waits for it, and ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def _start(self, jobs: list[tuple[AsyncEntry, Job]]) -> None:
        for entry, job in jobs:
            task = self._loop.create_task(entry(job), name=job.handler or job.name)
            self._tasks[job.id] = task
            task.add_done_callback(partial(self._done, job))

    def _cancel(self, invocation_id: str) -> None:
        task = self._tasks.get(invocation_id)
        if task is not None:
            task.cancel()

    def _done(self, job: Job, task: asyncio.Task[Outcome]) -> None:
        self._tasks.pop(job.id, None)
        if task.cancelled():
            # Before its first step, so that not even the handler's wrapper has run.
            job.finish(("fault", "CancelledError", "the handler was cancelled", "", 0))
        else:
            job.finish(task.result())


_lock = threading.Lock()
_loop: Loop | None = None


def loop() -> Loop:
    """The one loop of this process."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = Loop()
        return _loop


_threads: ThreadPoolExecutor | None = None


async def in_thread(call: Callable[[str], bool], argument: str) -> bool:
    """Makes a call that blocks.

    The threads are apart from those of `asyncio.to_thread`, which are the author's.
    """
    global _threads
    with _lock:
        if _threads is None:
            from concurrent.futures import ThreadPoolExecutor

            _threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="tinybase-chunks")
        threads = _threads
    return await asyncio.get_running_loop().run_in_executor(threads, call, argument)


def stop() -> None:
    """Ends the loop if there is one; a later `loop` makes a new one."""
    global _loop
    with _lock:
        former, _loop = _loop, None
    if former is not None:
        former.stop()
