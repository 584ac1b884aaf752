"""Generates a client from a running server's document, checks its types and has it tell its story.

`clients.py python typescript`: the programs of `examples/clients`, run as its README says.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from server import ROOT, Server

EXAMPLES = ROOT / "examples/clients"
# A place of its own, so that nothing is written beside the examples.
WORK = ROOT / "target/clients"
SECONDS_MAX = 300


def run(folder: Path, url: str, *words: str | Path, **variables: str) -> None:
    """Runs a program on a server."""
    print("+", *(Path(word).name for word in words), flush=True)
    environment = os.environ | {"TINYBASE_URL": url} | variables
    subprocess.run(words, cwd=folder, env=environment, check=True, timeout=SECONDS_MAX)


def copy(name: str) -> Path:
    """An example's folder, to work in."""
    folder = WORK / name
    left = shutil.ignore_patterns("node_modules", "dist", "client", "schema.ts", "__pycache__")
    shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True, ignore=left)
    return folder


def typescript(url: str) -> None:
    """openapi-typescript and openapi-fetch, with the compiler's types and Node."""
    folder = copy("typescript")
    lock = folder / "package-lock.json"
    installed = folder / "node_modules/.lock"
    if not installed.exists() or installed.read_text() != lock.read_text():
        run(folder, url, "npm", "ci", "--silent", "--no-audit", "--no-fund")
        installed.write_text(lock.read_text())
    run(folder, url, "npm", "run", "--silent", "generate")
    run(folder, url, "npm", "run", "--silent", "check")
    run(folder, url, "npm", "run", "--silent", "start")


def python(url: str) -> None:
    """openapi-python-client, with mypy."""
    folder = copy("python")
    programs = Path(sys.executable).parent
    generate: list[str | Path] = [
        programs / "openapi-python-client",
        "generate",
        "--config",
        "generator.yaml",
    ]
    generate += ["--url", f"{url}/openapi.json", "--output-path", "client", "--overwrite"]
    run(folder, url, *generate, "--fail-on-warning")
    check: list[str | Path] = [programs / "mypy", "--strict", "--follow-imports=silent", "story.py"]
    run(folder, url, *check, MYPYPATH="client")
    run(folder, url, sys.executable, "story.py", PYTHONPATH="client")


CLIENTS: dict[str, Callable[[str], None]] = {"typescript": typescript, "python": python}


def main() -> int:
    """Runs the clients that are named; returns the exit code."""
    with Server() as server:
        for name in sys.argv[1:]:
            print(f"--- {name}", flush=True)
            CLIENTS[name](server.url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
