"""Which file of a folder is the extension, and how it is imported."""

from pathlib import Path

import pytest

from tinybase import _loader
from tinybase.testing import Harness

CODE = "from tinybase.functions import register\nregister('f')(lambda ctx, payload: __name__)\n"


def test_main_py_is_the_entry_point_where_there_is_no_init(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from . import other\nimport other as plain\n" + CODE)
    (tmp_path / "other.py").write_text("")
    with Harness(tmp_path) as harness:
        assert harness.call("f").endswith(".main")


def test_the_manifest_s_entry_point_comes_first(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("raise RuntimeError")
    (tmp_path / "app.py").write_text(CODE)
    (tmp_path / "extension.toml").write_text('[extension]\nname = "x"\nentry_point = "app.py"\n')
    with Harness(tmp_path) as harness:
        assert harness.call("f").endswith(".app")


@pytest.mark.parametrize("entry", ["../outside.py", "/etc/passwd", "missing.py"])
def test_an_entry_point_outside_of_the_folder_is_refused(tmp_path: Path, entry: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside.py").write_text("raise RuntimeError")
    (folder / "extension.toml").write_text(f'[extension]\nentry_point = "{entry}"\n')
    with pytest.raises(_loader.LoadError, match=r"extension\.toml names the entry point"):
        _loader.load(str(folder))


def test_an_empty_folder_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(_loader.LoadError, match=r"neither an `__init__.py` nor a `main.py`"):
        _loader.load(str(tmp_path))


def test_a_failed_import_leaves_no_half_made_package(tmp_path: Path) -> None:
    import sys

    (tmp_path / "__init__.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        _loader.load(str(tmp_path))
    assert _loader.package_name(str(tmp_path)) not in sys.modules
    _loader.unload(str(tmp_path))
