"""The servers that the tests talk to: two that behave like DynamoDB, and one that misbehaves."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_CHECKOUT = Path(__file__).parents[3]
_LOOPBACK = Path(__file__).with_name("dynamodb-local") / "Loopback.java"
_START_SECONDS_MAX = 180


@contextmanager
def moto_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def dynamodb_local() -> Iterator[str]:
    default = _CHECKOUT / "target/dynamodb-local"
    jars = Path(os.environ.get("BOTOWRAP_DYNAMODB_LOCAL", default))
    if shutil.which("javac") is None:
        pytest.skip("DynamoDB Local is left out: there is no JDK")
    if not list(jars.glob("DynamoDBLocal-*.jar")):
        pytest.skip(f"DynamoDB Local is left out: it is not in {jars}; sdk-python/botowrap/check")
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Djava.library.path={jars}"]
    command += ["-cp", f"{jars}/*", str(_LOOPBACK), "0", "-inMemory", "-disableTelemetry"]
    ports: queue.SimpleQueue[int] = queue.SimpleQueue()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        # To the end of the output, so that the pipe never fills up.
        reader = threading.Thread(target=_read_ports, args=(process.stdout or (), ports))
        reader.start()
        try:
            yield f"http://127.0.0.1:{ports.get(timeout=_START_SECONDS_MAX)}"
        except queue.Empty:
            pytest.fail(f"DynamoDB Local did not listen within {_START_SECONDS_MAX} s")
        finally:
            process.kill()
            reader.join()


def _read_ports(lines: Iterable[str], ports: queue.SimpleQueue[int]) -> None:
    for line in lines:
        if line.strip().isdigit():
            ports.put(int(line))


Answer = tuple[int, dict[str, Any]]
Respond = Callable[[str, dict[str, Any]], Answer]


def fault(code: str, status: int = 400, **members: Any) -> Answer:
    """An error as DynamoDB sends it."""
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return status, {"__type": kind, "message": f"{code} on purpose", **members}


def fixed(answer: Answer) -> Respond:
    """Always the same."""
    return lambda operation, body: answer


class FaultServer:
    """Answers what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.respond: Respond = lambda operation, body: (200, {})
        self.requests: list[tuple[str, dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One segment for headers and body: two would wait for the client's delayed ACK.
            wbufsize = -1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                outer.requests.append((operation, body))
                status, answer = outer.respond(operation, body)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(payload)))
                self.send_header("x-amz-crc32", str(zlib.crc32(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]

    def fail_first(self, count: int, failure: Answer, success: Answer = (200, {})) -> None:
        """Fails so many requests, then succeeds."""

        def respond(operation: str, body: dict[str, Any]) -> Answer:
            return failure if len(self.requests) <= count else success

        self.respond = respond

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def wire_binary(value: bytes) -> dict[str, str]:
    return {"B": base64.b64encode(value).decode()}
