"""The Python examples' own tests, run as their authors would run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinybase

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", sorted(it.parent.name for it in EXAMPLES.glob("py-*/tests")))
def test_an_example_s_own_tests_pass(name: str) -> None:
    path = str(Path(tinybase.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=EXAMPLES / name,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
