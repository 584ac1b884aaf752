"""A core that a test scripts, and an extension's process that dials it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import tinybase

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 30.0

Line = dict[str, Any]


def build() -> Path:
    """Builds the core, which is an example of the native crate."""
    what = ["cargo", "build", "--quiet", "-p", "tinybase-sdk-python", "--example", "scripted-core"]
    subprocess.run(what, cwd=CHECKOUT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", str(CHECKOUT / "target"))
    return Path(target) / "debug/examples/scripted-core"


class ScriptedCore:
    """The core's process."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.socket = folder / "core.sock"
        self._process = subprocess.Popen(
            [program, self.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._skipped: list[Line] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.expect("listening")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Ends the core as a crash would."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def send(self, **command: Any) -> None:  # noqa: ANN401 - JSON
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def expect(self, key: str, value: object = ...) -> Line:
        """The next line with that key; what comes before it stays for later."""
        for line in self._skipped:
            if key in line and value in (..., line[key]):
                self._skipped.remove(line)
                return line
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no {key} came within {PATIENCE} s") from None
            if key in line and value in (..., line[key]):
                return line
            self._skipped.append(line)

    def came(self, key: str) -> bool:
        """Whether a line with that key came before the last one that was expected."""
        return any(key in line for line in self._skipped)

    def invoke(self, *invocations: Line) -> None:
        """Hands work over in one frame."""
        self.send(invoke=[*invocations])

    def measure(self, invocation: Line, calls: int, in_flight: int) -> Line:
        self.send(measure={"invocation": invocation, "calls": calls, "in_flight": in_flight})
        return self.expect("p50_us")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))


class Extension:
    """An extension's process, as the server would start it."""

    def __init__(self, core: ScriptedCore, folder: Path) -> None:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {
            "TINYBASE_SOCKET": str(core.socket),
            "TINYBASE_EXTENSION": "my-extension",
            "TINYBASE_EXTENSION_DIR": str(folder),
            "TINYBASE_TOKEN": "secret",
            # The package under test, whatever else is installed.
            "PYTHONPATH": str(Path(tinybase.__file__).parents[1]),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tinybase.run"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, str, str]:
        """Waits for the end: exit code, standard output, standard error."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
