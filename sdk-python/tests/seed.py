"""Takes the code of the documented extension API out of the document, unchanged."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "tests/seeds/tinybase-extensions.md"

_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """The blocks in a language, as title and text."""
    found = _BLOCK.findall(DOCUMENT.read_text())
    return [(title, text) for name, title, text in found if name == language]


def python_after(heading: str) -> str:
    """The first Python block after a heading."""
    _, _, rest = DOCUMENT.read_text().partition(f"\n{heading}\n")
    match = next(it for it in _BLOCK.finditer(rest) if it[1] == "python")
    return match[3]


def write_example(folder: Path) -> Path:
    """Writes the document's example extension, file by file, into `my-extension`."""
    target = folder / "my-extension"
    target.mkdir()
    titled = [*blocks("toml"), *blocks("python")]
    for title, text in titled:
        if title:
            (target / title).write_text(text)
    (target / "README.md").write_text("# my-extension\n")
    return target
