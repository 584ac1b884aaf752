"""What DynamoDB refuses is tried again later and explained to the operator."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from conftest import EXTENSION
from tinybase.extensions import RecordCreateEvent
from tinybase.testing import Faulted, Harness


class Refusing:
    """A DynamoDB that answers every request with one error."""

    def __init__(self, code: str) -> None:
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.requests += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                body = f'{{"__type": "x#{code}", "message": "on purpose"}}'.encode()
                self.send_response(400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def refusing(environment: Callable[..., None]) -> Iterator[Callable[[str], Refusing]]:
    made = []

    def make(code: str) -> Refusing:
        made.append(Refusing(code))
        environment(endpoint=made[-1].url, create_table="false")
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("ExpiredTokenException", "renew the credentials"),
        ("ResourceNotFoundException", "create_table = true makes it"),
        ("AccessDeniedException", "it needs PutItem"),
    ],
)
def test_the_operator_reads_what_to_do_and_the_event_comes_again(
    refusing: Callable[[str], Refusing], code: str, hint: str
) -> None:
    server = refusing(code)
    with Harness(EXTENSION) as harness:
        record = harness.create_record("orders", {"n": 1})
        later = RecordCreateEvent("orders", record.id, record.data, None)
        harness.fire(later, attempt=3, version=1)
    first, third = harness.failures
    assert hint in first.message
    assert code in first.message
    assert (first.retry_after_ms, third.retry_after_ms) == (3_000, 27_000)
    assert server.requests == 2, "it is the server that tries again"


def test_throttling_for_longer_than_the_budget_fails_the_event_in_time(
    refusing: Callable[[str], Refusing], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = refusing("ThrottlingException")
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with Harness(EXTENSION) as harness:
        # What the event's deadline allows counts from now.
        import time
        from datetime import UTC, datetime

        harness.server.clock.now = datetime.fromtimestamp(time.time(), UTC)
        harness.create_record("orders", {"n": 1})
    (failure,) = harness.failures
    assert "ThrottlingException" in failure.message
    assert failure.retry_after_ms == 3_000
    assert server.requests == 6, "one attempt and five retries"
    assert len(waits) == 5


def test_a_function_tells_its_caller_what_dynamodb_has_against_a_request(
    refusing: Callable[[str], Refusing],
) -> None:
    from tinybase.testing import Rejected

    refusing("ValidationException")
    with Harness(EXTENSION) as harness, pytest.raises(Rejected, match="on purpose"):
        harness.call("dynamodb_scan_all", {"filter": "nonsense"})


def test_an_outage_fails_a_function(refusing: Callable[[str], Refusing]) -> None:
    refusing("ResourceNotFoundException")
    with Harness(EXTENSION) as harness, pytest.raises(Faulted, match="ResourceNotFound"):
        harness.call("dynamodb_scan_all")
