"""Checks that README.md's commands and links exist, and that it leads to each page of docs/.

`check_readme.py PATH-TO-TINYBASE`
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# Words that a subcommand ends with: an option, a path, an address or a placeholder.
NO_SUBCOMMAND = re.compile(r"[^a-z-]|^-")


def commands(text: str) -> Iterator[list[str]]:
    """Yields each command of the shell blocks, without comments, split into words."""
    for block in re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words:
                    yield words


def subcommand_is_known(binary: str, words: list[str]) -> bool:
    """Asks the server's program for help on a subcommand and its options."""
    verbs: list[str] = []
    for word in words:
        if NO_SUBCOMMAND.search(word):
            break
        verbs.append(word)
    # `init my-backend`: a last word may be a name, so what matters is that a shorter one is known.
    for count in (len(verbs), len(verbs) - 1):
        run = subprocess.run([binary, *verbs[:count], "--help"], capture_output=True, text=True)
        if run.returncode == 0 and count > 0:
            options = (word for word in words if word.startswith("--"))
            return all(option in run.stdout for option in options)
    return False


def is_known(binary: str, words: list[str]) -> bool:
    """Says whether a command can be typed as it stands."""
    match words:
        case ["tinybase", *rest]:
            return subcommand_is_known(binary, rest)
        case ["cargo", "run", *rest] if "--" in rest:
            return subcommand_is_known(binary, rest[rest.index("--") + 1 :])
        case ["alias", definition]:
            return definition == "tinybase=$PWD/target/release/tinybase"
        case ["curl", *rest]:
            return any(word.startswith("localhost:8000/api/") for word in rest)
        case ["cd", _]:
            return True
        case [program]:
            return (ROOT / program).is_file()
        case _:
            return False


def main(binary: str) -> int:
    """Prints what README.md names and isn't there; returns the exit code."""
    text = README.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    wrong = [f"the link {link} leads nowhere" for link in links if not (ROOT / link).exists()]
    pages = (str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").glob("*.md")))
    wrong += [f"nothing leads to {page}" for page in pages if page not in links]
    found = list(commands(text))
    wrong += [f"`{shlex.join(words)}` is unknown" for words in found if not is_known(binary, words)]
    for sentence in wrong:
        print(f"README.md: {sentence}")
    print(f"README.md: {len(found)} commands and {len(links)} links checked, {len(wrong)} wrong")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
