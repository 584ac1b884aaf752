"""What is public, and what importing it costs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tinybase

PUBLIC = {
    "tinybase.data": [
        *("Collections", "Records", "StoredCollection", "StoredRecord", "StoredUser"),
        *("Users", "Values", "call_function"),
    ],
    "tinybase.db": ["Result", "Session"],
    "tinybase.db.models": ["Collection", "Record", "User"],
    "tinybase.errors": [
        *("CallFailed", "Forbidden", "HostError", "HostNotFound", "NotFound"),
        *("RegistrationError", "Reject", "Retryable", "TinyBaseError", "ValidationError"),
    ],
    "tinybase.functions": ["Context", "current_context", "register", "schedule"],
    "tinybase.settings": ["settings"],
    "tinybase.testing": [
        *("Call", "Clock", "FakeServer", "Faulted", "Harness", "LogLine", "Rejected"),
    ],
    "tinybase.utils": ["AuthLevel", "utcnow"],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_these_in_order(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__ == PUBLIC[name] == sorted(PUBLIC[name])
    assert all(hasattr(module, it) for it in module.__all__)


def test_errors_are_one_tree() -> None:
    errors = importlib.import_module("tinybase.errors")
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.TinyBaseError)


HEAVY = {"asyncio", "dataclasses", "inspect", "json", "logging", "pydantic", "re", "typing", "uuid"}


def test_starting_an_extension_imports_nothing_heavy(tmp_path: Path) -> None:
    """Each of these takes a good part of the interpreter's own start, or more than all of it."""
    (tmp_path / "__init__.py").write_text(
        "from tinybase.extensions import on_record_create, RecordCreateEvent\n"
        "from tinybase.functions import Context, register\n"
        "@on_record_create('orders')\ndef hook(event: RecordCreateEvent): pass\n"
        "@register('f', tags=['a'])\ndef f(ctx: Context, payload: dict) -> dict: return {}\n"
    )
    code = (
        "import sys; sys.modules.pop('typing', None); before = set(sys.modules)\n"
        "from tinybase import run\n"
        "from tinybase._logging import LogRelay\n"
        "LogRelay().install()\n"
        f"registry, package, _ = run._load({str(tmp_path)!r})\n"
        "run._hooks(registry, package), run._functions(registry)\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    path = str(Path(tinybase.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({path!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEAVY.isdisjoint(ran.stdout.split())
    assert "tinybase.functions" in ran.stdout.split()
