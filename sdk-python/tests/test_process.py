"""The extension's process over a real socket: the native module and `tinybase.run`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.scripted_core import Extension, Line, ScriptedCore, build

pytest.importorskip("tinybase._native", reason="the native module isn't built: maturin develop")

Start = Callable[..., Extension]


@pytest.fixture(scope="session")
def program() -> Path:
    return build()


@pytest.fixture
def core(program: Path, tmp_path: Path) -> Iterator[ScriptedCore]:
    with ScriptedCore(program, tmp_path) as core:
        yield core


@pytest.fixture
def start(core: ScriptedCore, tmp_path: Path) -> Iterator[Start]:
    """Starts an extension from text or a folder, and waits until it is ready."""
    started: list[Extension] = []

    def start(code: str | Path, *, level: str = "info") -> Extension:
        folder = code if isinstance(code, Path) else tmp_path / "an-extension"
        if isinstance(code, str):
            folder.mkdir()
            (folder / "__init__.py").write_text(code)
        extension = Extension(core, folder)
        started.append(extension)
        if level:
            core.expect("hello")
            core.send(welcome=level)
            core.expect("ready")
        return extension

    yield start
    for extension in started:
        extension.kill()


def call(handler: str, id: str = "1", **payload: object) -> Line:
    return {"id": id, "event": "function.invoke", "handler": handler, "input": payload}


def created(handler: str, id: str = "1", **data: object) -> Line:
    ids = {"record_id": str(uuid4()), "owner_id": ""}
    event = {"event": "record.create", "collection": "events", "data": data}
    return {"id": id, "handler": handler, **ids, **event}


def test_the_documented_extension_registers_and_answers(
    core: ScriptedCore, start: Start, example: Path
) -> None:
    extension = start(example, level="")
    hello = core.expect("hello")["hello"]
    assert hello["extension"] == "my-extension"
    assert hello["version"] == "1.0.0"
    assert hello["features"] == ["ack", "heartbeat", "stream"]
    registered = core.expect("register")["register"]
    assert [(it["event"], it["handler"], it["collection"]) for it in registered["hooks"]] == [
        ("startup", "hooks.connect_to_service", ""),
        ("shutdown", "hooks.disconnect_from_service", ""),
        ("record.create", "hooks.sync_to_external", "events"),
    ]
    function = registered["functions"][0]
    assert (function["name"], function["auth"]) == ("ext_sync_all", 3)
    assert function["tags"] == ["my-extension", "sync"]
    assert json.loads(function["input_schema"])["properties"]["force"]["type"] == "boolean"
    assert json.loads(function["output_schema"])["required"] == ["synced_count", "errors"]
    core.send(welcome="info")
    core.expect("ready")
    ids = [str(uuid4()) for _ in range(1500)]
    core.send(records=[[id, {"n": 1}] for id in ids])
    core.invoke({"id": "s", "event": "startup", "handler": "hooks.connect_to_service"})
    assert core.expect("outcome", "s")["success"]
    core.invoke(call("ext_sync_all", force=True))
    assert core.expect("list_records")["list_records"] == "token-1"
    assert json.loads(core.expect("outcome", "1")["output"]) == {
        "synced_count": 0,
        "errors": [f"{id}: name 'send_to_external' is not defined" for id in ids],
    }
    core.invoke(created("hooks.sync_to_external", "2", n=1))
    outcome = core.expect("outcome", "2")
    assert (outcome["type"], outcome["fault"]) == (
        "NameError",
        "name 'send_to_external' is not defined",
    )
    assert "in sync_to_external" in outcome["stack"]
    core.send(drain=True)
    core.invoke({"id": "e", "event": "shutdown", "handler": "hooks.disconnect_from_service"})
    assert core.expect("outcome", "e")["success"]
    core.send(end=True)
    assert extension.end() == (
        0,
        "Connected to external service\nDisconnected from external service\n",
        "",
    )


def test_p35_module_state_holds_from_call_to_call(core: ScriptedCore, start: Start) -> None:
    start(
        "import threading\nfrom tinybase.functions import register\n"
        "local = threading.local()\nseen = []\n"
        "@register('count')\n"
        "def count(ctx, payload):\n    seen.append(1)\n    return len(seen)\n"
    )
    for number in range(1, 4):
        core.invoke(call("count", str(number)))
        assert core.expect("outcome")["output"] == str(number)


SLOW = """
import threading, time
from tinybase.functions import register
gate = threading.Event()
@register('block')
def block(ctx, payload):
    gate.wait()
@register('spin')
def spin(ctx, payload):
    while not ctx.cancelled:
        pass
    return 'stopped'
@register('free')
def free(ctx, payload):
    gate.set()
@register('quick')
def quick(ctx, payload):
    return threading.active_count()
"""


def test_a_blocked_handler_stops_neither_others_nor_heartbeats(
    core: ScriptedCore, start: Start
) -> None:
    start(SLOW)
    core.invoke(call("block", "b"), call("quick", "q"))
    core.expect("outcome", "q")
    core.send(ping="p1")
    core.expect("pong", "p1")
    core.invoke(call("free", "f"))
    core.expect("outcome", "f")
    core.expect("outcome", "b")


def test_as_many_handlers_as_there_are_threads_may_block(core: ScriptedCore, start: Start) -> None:
    start(SLOW)
    core.invoke(*[call("block", f"b{number}") for number in range(32)])
    core.send(ping="p1")
    core.expect("pong", "p1")
    core.invoke(call("quick", "q"))
    core.send(cancel="q")
    assert core.expect("outcome", "q")["type"] == "Cancelled"


def test_a_held_gil_stops_no_heartbeat(core: ScriptedCore, start: Start) -> None:
    """`ctypes.PyDLL` keeps the lock while it sleeps, as a bad extension in C does."""
    start(
        "import ctypes\nfrom tinybase.functions import register\n"
        "libc = ctypes.PyDLL(None)\n"
        "@register('hold')\n"
        "def hold(ctx, payload):\n    libc.sleep(2)\n"
    )
    core.invoke(call("hold", "h"))
    core.expect("received", "h")
    core.send(ping="p1")
    core.expect("pong", "p1")
    assert not core.came("outcome")
    core.expect("outcome", "h")


def test_cancel_reaches_a_running_handler(core: ScriptedCore, start: Start) -> None:
    start(SLOW)
    core.invoke(call("spin", "s"))
    core.expect("received", "s")
    core.send(cancel="s")
    assert core.expect("outcome", "s")["output"] == '"stopped"'


ASYNC = """
import asyncio
from tinybase.extensions import on_record_create
from tinybase.functions import register, current_context
both = {}
@register('meet')
async def meet(ctx, payload):
    event = both.setdefault('event', asyncio.Event())
    if payload['last']:
        event.set()
    await event.wait()
    return [payload['last'], current_context().event_id]
@register('forever')
async def forever(ctx, payload):
    try:
        await asyncio.Event().wait()
    finally:
        print('cleaned up')
@register('wrapped')
def wrapped(ctx, payload):
    return meet(ctx, {'last': True})
@on_record_create
async def hook(event):
    raise ValueError(str(event.data['n']))
"""


def test_asynchronous_handlers_run_side_by_side(core: ScriptedCore, start: Start) -> None:
    extension = start(ASYNC)
    core.invoke(call("meet", "1", last=False))
    core.invoke(call("meet", "2", last=True), created("hook", "3", n=7))
    assert core.expect("outcome", "3")["fault"] == "7"
    core.invoke(call("wrapped", "4"))
    assert core.expect("outcome", "4")["output"] == '[true,"event-1"]'
    core.send(end=True)
    assert extension.end()[0] == 0


def test_an_asynchronous_handler_is_cancelled_in_python_s_own_way(
    core: ScriptedCore, start: Start
) -> None:
    extension = start(ASYNC)
    core.invoke(call("forever", "1"))
    core.expect("received", "1")
    core.invoke(call("wrapped", "2"))
    core.expect("outcome", "2")
    core.send(cancel="1")
    outcome = core.expect("outcome", "1")
    assert (outcome["type"], outcome["fault"]) == ("CancelledError", "the handler was cancelled")
    core.send(end=True)
    assert extension.end()[:2] == (0, "cleaned up\n")


def test_errors_of_every_kind_end_only_their_call(core: ScriptedCore, start: Start) -> None:
    start(
        "import sys\nfrom datetime import timedelta\n"
        "from tinybase.errors import Reject, Retryable\n"
        "from tinybase.functions import register\n"
        "from tinybase.extensions import before_record_create, on_record_create\n"
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\n"
        "@register('f')\n"
        "def f(ctx, payload):\n"
        "    match payload['n']:\n"
        "        case 0: sys.exit(3)\n"
        "        case 1: raise Odd\n"
        "        case 2: raise KeyboardInterrupt\n"
        "        case 3: return ctx.records.get('0193d2a4-7c1e-7f3a-9b1c-2f6a5e4d3c2b')\n"
        "        case 4: return ctx.users.get('0193d2a4-7c1e-7f3a-9b1c-2f6a5e4d3c2b')\n"
        "@on_record_create\n"
        "def later(event): raise Retryable('busy', after=timedelta(seconds=5))\n"
        "@before_record_create\n"
        "def check(event):\n"
        "    if event.data['n'] < 0: raise Reject('too small', code='small', status=409)\n"
        "    return {'n': event.data['n'] + 1, 'gone': None}\n"
    )
    faults = []
    for number in range(5):
        core.invoke(call("f", str(number), n=number))
        faults.append(core.expect("outcome", str(number)))
    assert faults[0]["fault"].startswith("the handler called sys.exit(3)")
    assert [it.get("type") for it in faults] == [
        *("SystemExit", "Odd", "KeyboardInterrupt"),
        *(None, "HostError"),
    ]
    assert (faults[3]["status"], faults[3]["code"]) == (404, "not_found")
    core.invoke(created("later", "r"))
    assert core.expect("outcome", "r")["retry_after_ms"] == 5000
    before = {"phase": "before"}
    core.invoke(created("check", "ok", n=1) | before, created("check", "no", n=-1) | before)
    assert json.loads(core.expect("outcome", "ok")["patch"]) == {"n": 2, "gone": None}
    refusal = core.expect("outcome", "no")
    assert (refusal["reject"], refusal["code"], refusal["status"]) == ("too small", "small", 409)
    core.invoke(created("nobody", "u"))
    assert core.expect("outcome", "u")["type"] == "Unimplemented"


LOGS = """
import logging
logger = logging.getLogger(__name__)
logger.debug('early debug')
logger.info('early info')
from tinybase.functions import register
@register('log')
def log(ctx, payload):
    logger.debug('quiet')
    logger.warning('loud %d', 5, extra={'order': 7})
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception('failed')
    return logging.root.level
"""


def test_p50_p49_logging_arrives_with_level_logger_and_invocation(
    core: ScriptedCore, start: Start
) -> None:
    start(LOGS)
    assert core.expect("log")["log"] == "early info"
    core.invoke(call("log", "1"))
    line = core.expect("log", "loud 5")
    assert (line["level"], line["invocation"]) == (3, "1")
    # The extension's name, whatever its folder is called.
    assert line["logger"] == "tinybase_extension_my_extension"
    assert json.loads(line["fields"]) == {"order": 7}
    assert line["time"].startswith("20")
    failed = core.expect("log")
    assert failed["level"] == 4
    assert failed["log"].splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_p49_the_server_s_level_holds_for_the_root_logger(core: ScriptedCore, start: Start) -> None:
    start(LOGS, level="debug")
    assert core.expect("log")["log"] == "early debug"
    core.invoke(call("log", "1"))
    assert core.expect("log", "quiet")["level"] == 1
    assert core.expect("outcome", "1")["output"] == "10"


def test_the_last_log_lines_and_prints_leave_before_the_end(
    core: ScriptedCore, start: Start
) -> None:
    extension = start(
        "import logging, atexit, time\nfrom tinybase.extensions import on_shutdown\n"
        "atexit.register(lambda: print('at exit'))\n"
        "@on_shutdown\n"
        "def bye():\n    print('b\\udc80ye')\n    logging.info('last words')\n"
    )
    core.send(drain=True)
    core.invoke({"id": "1", "event": "shutdown", "handler": "bye"})
    core.expect("outcome", "1")
    core.send(end=True)
    assert extension.end()[:2] == (0, "b\\udc80ye\nat exit\n")
    core.expect("log", "last words")


def test_p11_sigterm_without_a_drain_runs_the_shutdown_hooks(
    core: ScriptedCore, start: Start
) -> None:
    extension = start(
        "from tinybase.extensions import on_shutdown\n"
        "@on_shutdown\ndef bye(): print('bye')\n"
        "@on_shutdown\nasync def too(): print('too')\n"
    )
    extension.terminate()
    assert extension.end() == (0, "bye\ntoo\n", "")


def test_a_dead_server_ends_the_extension_even_in_a_handler(
    core: ScriptedCore, start: Start
) -> None:
    extension = start(SLOW)
    core.invoke(call("block", "b"))
    core.expect("received", "b")
    core.kill()
    code, _, errors = extension.end()
    assert code == 1
    assert errors.startswith("tinybase: the connection to the server broke")


def test_a_dead_server_ends_the_extension_even_with_the_gil_held(
    core: ScriptedCore, start: Start
) -> None:
    extension = start(
        "import ctypes\nfrom tinybase.functions import register\n"
        "@register('hold')\n"
        "def hold(ctx, payload):\n    ctypes.PyDLL(None).sleep(600)\n"
    )
    core.invoke(call("hold", "h"))
    core.expect("received", "h")
    core.kill()
    assert extension.end()[0] == -9


MIXED = """
import time
from tinybase.functions import register
@register('fast')
def fast(ctx, payload): return 1
@register('slow')
def slow(ctx, payload): time.sleep(0.02)
@register('later')
async def later(ctx, payload): return 2
"""


def test_each_of_many_mixed_calls_gets_exactly_one_outcome(
    core: ScriptedCore, start: Start
) -> None:
    start(MIXED)
    sent = []
    for frame in range(20):
        calls = [
            call(name, f"{frame}-{number}-{name}")
            for number in range(5)
            for name in ("fast", "slow", "later", "nobody")
        ]
        core.invoke(*calls)
        sent += [it["id"] for it in calls]
    outcomes = [core.expect("outcome")["outcome"] for _ in sent]
    assert sorted(outcomes) == sorted(sent)


def test_a_refusal_is_told_on_standard_error(core: ScriptedCore, start: Start) -> None:
    extension = start("", level="")
    core.expect("hello")
    core.send(refuse="the function name 'greet' is taken by 'other'")
    code, _, errors = extension.end()
    assert code == 1
    assert "the function name 'greet' is taken by 'other'" in errors


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("import sys; sys.exit(0)", "can't be imported: it called sys.exit(0)"),
        ("1 +", "SyntaxError: invalid syntax"),
        ("import logging\nlogging.warning('hm')\nraise KeyError", "warning root: hm"),
    ],
)
def test_a_failed_import_is_told_and_is_no_success(start: Start, code: str, says: str) -> None:
    exit_code, output, errors = start(code, level="").end()
    assert exit_code == 1
    assert says in errors
    assert output == ""
    assert "tinybase/_loader.py" not in errors


def test_an_extension_may_have_modules_named_as_python_s_own(
    core: ScriptedCore, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "an-extension"
    folder.mkdir()
    for name in ("types", "json", "logging", "functions"):
        (folder / f"{name}.py").write_text("MINE = True\n")
    (folder / "__init__.py").write_text(
        "import json, logging\nfrom .types import MINE\nimport functions\n"
        "from tinybase.extensions import on_startup\n"
        "@on_startup\ndef check(): print(MINE, functions.MINE, json.dumps(1))\n"
    )
    extension = start(folder)
    core.invoke({"id": "1", "event": "startup", "handler": "check"})
    assert core.expect("outcome", "1")["success"]
    core.send(end=True)
    assert extension.end()[1] == "True True 1\n"


def test_started_by_hand_it_says_who_starts_it(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    (tmp_path / "__init__.py").write_text("")
    environment = {it: os.environ[it] for it in os.environ if not it.startswith("TINYBASE_")}
    ran = subprocess.run(
        [sys.executable, "-m", "tinybase.run"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "TINYBASE_SOCKET is not set" in ran.stderr
