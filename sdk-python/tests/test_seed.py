"""The documented example, extracted from the document and run as it is printed."""

import sys
from pathlib import Path

import pytest

from tests import seed
from tinybase.testing import Faulted, Harness, Rejected

EXAMPLE_FILES = {"__init__.py", "hooks.py", "functions.py", "extension.toml"}


def test_p30_the_documented_files_are_all_there_is_to_an_extension(example: Path) -> None:
    assert {it.name for it in example.iterdir()} == EXAMPLE_FILES | {"README.md"}
    with Harness(example) as harness:
        assert harness.hooks == [
            "hooks.connect_to_service",
            "hooks.disconnect_from_service",
            "hooks.sync_to_external",
        ]
        assert harness.functions == ["ext_sync_all"]


def test_p34_a_folder_with_a_dash_loads_as_a_package_with_relative_star_imports(
    example: Path,
) -> None:
    assert example.name == "my-extension"
    with Harness(example):
        assert sys.modules["tinybase_extension_my_extension"].__version__ == "1.0.0"


def test_p41_sync_answers_one_name_error_per_record(example: Path) -> None:
    with Harness(example) as harness:
        ids = [
            harness.server.add_record("events", {"n": 1}).id,
            harness.server.add_record("orders", {"n": 2}).id,
        ]
        assert harness.call("ext_sync_all", {}) == {
            "synced_count": 0,
            "errors": [f"{id}: name 'send_to_external' is not defined" for id in ids],
        }


def test_p40_select_record_reads_all_records_of_all_collections(example: Path) -> None:
    with Harness(example) as harness:
        for number in range(2500):
            harness.server.add_record("events" if number % 2 else "orders", {"n": number})
        assert len(harness.call("ext_sync_all")["errors"]) == 2500


def test_p38_an_empty_payload_means_the_model_s_defaults(example: Path) -> None:
    with Harness(example) as harness:
        assert harness.call("ext_sync_all", {}) == harness.call("ext_sync_all", {"force": False})


def test_p38_a_payload_of_the_wrong_type_never_enters_the_function(example: Path) -> None:
    with Harness(example) as harness:
        harness.server.add_record("events", {})
        with pytest.raises(Rejected) as refusal:
            harness.call("ext_sync_all", {"force": "perhaps"})
        assert refusal.value.status == 422
        assert [field for field, _ in refusal.value.violations] == ["/force"]


def test_p46_the_undefined_helper_fails_each_event_and_nothing_else(example: Path) -> None:
    with Harness(example) as harness:
        record = harness.create_record("events", {"n": 1})
        assert record.id in harness.server.records
        assert [it.error_type for it in harness.failures] == ["NameError"]
        assert harness.failures[0].message == "name 'send_to_external' is not defined"
        assert 'hooks.py", line' in harness.failures[0].stack
        assert "tinybase/_dispatch.py" not in harness.failures[0].stack


def test_p35_state_set_at_startup_is_seen_by_hooks_until_shutdown(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Harness(example) as harness:
        hooks = sys.modules["tinybase_extension_my_extension.hooks"]
        assert hooks._connected is True
        harness.create_record("orders", {})
        assert harness.failures == []
    assert hooks._connected is False
    assert capsys.readouterr().out.splitlines() == [
        "Connected to external service",
        "Disconnected from external service",
    ]


def test_p42_the_environment_is_read_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    code = seed.python_after("## Extension Configuration")
    monkeypatch.setenv("MY_EXT_API_KEY", "secret123")
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["EXTERNAL_API_KEY"] == "secret123"
    assert scope["EXTERNAL_API_URL"] == "https://api.example.com"


FRAGMENT_NAMES = (
    "from dataclasses import dataclass\nfrom uuid import UUID\n"
    "from tinybase.extensions import on_record_create, on_startup\n"
)


@pytest.mark.parametrize(
    "number", [n for n, (title, _) in enumerate(seed.blocks("python")) if title != "__init__.py"]
)
def test_p01_every_python_block_of_the_document_runs(number: int, tmp_path: Path) -> None:
    """Fragments get the imports that they leave out, before them."""
    _, text = seed.blocks("python")[number]
    (tmp_path / "__init__.py").write_text(FRAGMENT_NAMES + text)
    with Harness(tmp_path) as harness:
        assert harness.failures == []


def test_p50_logging_of_an_extension_arrives_with_level_and_logger(tmp_path: Path) -> None:
    text = seed.python_after("### View Extension Logs")
    (tmp_path / "__init__.py").write_text(FRAGMENT_NAMES + text)
    with Harness(tmp_path) as harness:
        lines = [(it.level, it.message) for it in harness.server.logs]
        assert lines == [(10, "Extension starting..."), (20, "Extension ready")]
        assert harness.server.logs[0].logger.startswith("tinybase_extension_")
        assert harness.server.logs[0].invocation_id


def test_p12_p15_the_documented_user_hooks_fail_after_their_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "__init__.py").write_text(seed.python_after("### Authentication Hooks"))
    with Harness(tmp_path) as harness:
        user = harness.register_user("ada@example.org", is_admin=True)
        harness.login(user)
        assert [it.message for it in harness.failures] == [
            "name 'send_welcome_email' is not defined",
            "name 'send_admin_login_alert' is not defined",
        ]
    assert capsys.readouterr().out.splitlines() == [
        "New user: ada@example.org",
        "User logged in: ada@example.org",
    ]


def test_p18_p19_p20_the_documented_data_hooks_see_what_they_ask_for(tmp_path: Path) -> None:
    seen: list[object] = []
    helpers = (
        "send_order_confirmation = update_inventory = notify_status_change = "
        "delete_from_storage = lambda *it: SEEN.append(it)\n"
    )
    (tmp_path / "__init__.py").write_text(helpers + seed.python_after("### Data Hooks"))
    with Harness(tmp_path) as harness:
        sys.modules[_package(tmp_path)].SEEN = seen  # type: ignore[attr-defined]
        order = harness.create_record("orders", {"email": "a@b.c", "items": [1], "status": "new"})
        harness.update_record(order.id, {"status": "paid"})
        harness.update_record(order.id, {"email": "d@e.f"})
        harness.delete_record(order.id)
        file = harness.create_record("files", {"path": "/tmp/x"})
        harness.delete_record(file.id)
        assert harness.failures == []
    assert seen == [("a@b.c", order.id), ([1],), (order.id, "paid"), ("/tmp/x",)]


def test_p25_p26_p27_the_documented_function_hooks_run_around_the_call(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text(
        "from tinybase.functions import register\n"
        "SEEN = []\n"
        "audit_log = lambda *it: SEEN.append(('audit', *it))\n"
        "send_alert = lambda text, error_type: SEEN.append((text, error_type))\n"
        "class metrics:\n"
        "    record = staticmethod(lambda **it: SEEN.append((it['function'], it['success'])))\n"
        + seed.python_after("### Function Hooks")
        + "@register('process_payment')\n"
        "def pay(ctx, payload): SEEN.append(('paid', payload['amount']))\n"
        "@register('critical_task')\n"
        "def task(ctx, payload): raise KeyError('disk')\n"
    )
    with Harness(tmp_path) as harness:
        seen = sys.modules[_package(tmp_path)].SEEN
        harness.call("process_payment", {"amount": 5})
        with pytest.raises(Faulted):
            harness.call("critical_task")
    assert seen == [
        ("audit", "payment_attempt", {"amount": 5}),
        ("paid", 5),
        ("process_payment", True),
        ("critical_task", False),
        ("Critical task failed: 'disk'", "KeyError"),
    ]


def _package(folder: Path) -> str:
    from tinybase._loader import package_name

    return package_name(str(folder))
