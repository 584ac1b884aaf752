"""Runs an extension in a test: no server, no native module, the same path from event to outcome.

    from tinybase.testing import Harness

    def test_greet():
        with Harness("examples/hello") as harness:  # Runs the startup hooks, and the shutdown ones.
            assert harness.call("greet", {"name": "Ada"}) == {"message": "Hello Ada"}

Records, users and the clock are fakes. JSON Schemas given as dicts are the server's to check, and
are not checked here; pydantic models are.
"""

from tinybase.testing._harness import Harness
from tinybase.testing._outcome import Call, Faulted, Rejected
from tinybase.testing._server import Clock, FakeServer, LogLine

__all__ = ["Call", "Clock", "FakeServer", "Faulted", "Harness", "LogLine", "Rejected"]
