"""Settings of an extension, read where a handler runs."""

import pytest

from tinybase._registry import Registry
from tinybase.functions import Context, register
from tinybase.settings import settings
from tinybase.testing import Faulted, Harness


def test_a_setting_is_read_anew_each_time_and_can_be_set(registry: Registry) -> None:
    @register("read")
    def read(_ctx: Context, _payload: object) -> list[str | None]:
        return [settings.get("ext.mine.url"), settings.get("ext.mine.color", "red")]

    @register("write")
    def write(_ctx: Context, _payload: object) -> None:
        settings.set("ext.mine.color", "blue")
        settings.set("ext.mine.url", None)

    with Harness(registry) as harness:
        harness.server.values["ext.mine.url"] = b"https://example.com"
        assert harness.call("read") == ["https://example.com", "red"]
        harness.call("write")
        assert harness.call("read") == [None, "blue"]


def test_settings_of_the_server_are_not_for_extensions(registry: Registry) -> None:
    @register("read")
    def read(_ctx: Context, _payload: object) -> str | None:
        return settings.get("core.storage.secret_key")

    with Harness(registry) as harness, pytest.raises(Faulted, match="ext"):
        harness.call("read")


def test_outside_of_a_handler_there_are_no_settings() -> None:
    with pytest.raises(LookupError):
        settings.get("ext.mine.url")
