from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import seed
from tinybase._registry import Registry, use
from tinybase.testing import Harness


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The documented example extension."""
    return seed.write_example(tmp_path)


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty registry that decorators write to."""
    with use(Registry()) as registry:
        yield registry


@pytest.fixture
def extension(tmp_path: Path) -> Callable[..., Harness]:
    """Makes a harness around files given as text."""

    def make(init: str, **files: str) -> Harness:
        folder = tmp_path / "an-extension"
        folder.mkdir()
        (folder / "__init__.py").write_text(init)
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        return Harness(folder)

    return make
