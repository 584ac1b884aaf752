"""A server of a test's own, with people and data in it, run as its user runs it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
BINARY = ROOT / "target/debug/tinybase"
PASSWORD = "correct horse battery"
ADMIN = "admin@example.com"
USER = "user@example.com"
START_SECONDS_MAX = 60

# One field of every type, with the options that a JSON Schema can say something about.
THINGS = {
    "name": "things",
    "label": "Things",
    "schema": {
        "fields": [
            {"name": "title", "type": "string", "required": True, "max_length": 200},
            {"name": "slug", "type": "string", "pattern": "^[a-z0-9-]+$", "unique": True},
            {
                "name": "status",
                "type": "string",
                "enum": ["new", "old"],
                "default": "new",
                "index": True,
            },
            {"name": "count", "type": "integer", "min": 0, "max": 1000},
            {"name": "price", "type": "number", "min": 0},
            {"name": "done", "type": "boolean"},
            {"name": "day", "type": "date"},
            {"name": "at", "type": "datetime"},
            {"name": "mail", "type": "string", "format": "email"},
            {"name": "tags", "type": "list[string]", "max_items": 5},
            {"name": "numbers", "type": "list", "items": {"type": "int", "min": 0}},
            {
                "name": "place",
                "type": "object",
                "properties": {
                    "street": {"type": "string", "required": True},
                    "floor": {"type": "int"},
                },
            },
            {"name": "anything", "type": "object"},
            {
                "name": "author",
                "type": "reference",
                "collection": "users",
                "on_delete": "set_null",
            },
            {"name": "secret", "type": "string", "hidden": True},
        ]
    },
}
# Anybody may do anything here, also without a login.
NOTES = {
    "name": "notes",
    "label": "Notes",
    "schema": {
        "fields": [
            {"name": "title", "type": "string", "required": True, "max_length": 100},
            {"name": "done", "type": "boolean", "default": False},
        ]
    },
    "options": {
        "access": dict.fromkeys(("list", "read", "create", "update", "delete"), "public"),
    },
}
PENGUINS = {
    "name": "penguins",
    "label": "Penguins",
    "schema": {
        "fields": [
            {"name": "species", "type": "string", "required": True, "max_length": 50},
            {"name": "island", "type": "string", "required": True, "max_length": 50},
            {"name": "body_mass_g", "type": "integer", "min": 0},
        ]
    },
}
# Nobody but administrators knows of this one.
LEDGER = {
    "name": "ledger",
    "label": "Ledger",
    "schema": {"fields": [{"name": "amount", "type": "number", "required": True}]},
    "options": {
        "access": dict.fromkeys(("list", "read", "create", "update", "delete"), "admin"),
    },
}
COLLECTIONS = (THINGS, NOTES, PENGUINS, LEDGER)
RECORDS: dict[str, list[dict[str, object]]] = {
    "things": [
        {"title": "one", "slug": "one", "count": 1, "price": 1.5, "tags": ["a"]},
        {"title": "two", "place": {"street": "High Street"}, "day": "2026-01-31"},
    ],
    "notes": [{"title": "one"}, {"title": "two", "done": True}],
    "penguins": [
        {"species": "Gentoo", "island": "Biscoe", "body_mass_g": 5400},
        {"species": "Adelie", "island": "Dream", "body_mass_g": 3700},
    ],
}


class Refused(Exception):
    """An answer that isn't a success."""


@dataclass(frozen=True)
class Api:
    """The API, as somebody."""

    url: str
    token: str | None = None

    def send(self, method: str, path: str, body: object = None) -> Any:
        """Sends a request and reads the answer's JSON."""
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def upload(self, name: str, content: bytes) -> str:
        """Stores a file that anybody may read; its key."""
        edge = "the-edge-of-a-part"
        head = f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            f"{self.url}/api/files/upload?public=true",
            head.encode() + content + f"\r\n--{edge}--\r\n".encode(),
            {
                "authorization": f"Bearer {self.token}",
                "content-type": f"multipart/form-data; boundary={edge}",
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(json.load(answer)["key"])

    def login(self, email: str, password: str = PASSWORD) -> Self:
        """The same API as a user."""
        answer = self.send("POST", "/api/auth/login", {"email": email, "password": password})
        return type(self)(self.url, answer["access_token"])


class Server:
    """A server on a free port with a data folder of its own, which goes away with it."""

    def __init__(self, *, fill: bool = True, extension: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tinybase-contract-"))
        self.log = self.folder / "server.log"
        self.url = ""
        # The key of a file that anybody may read.
        self.file = ""
        self._fill = fill
        self._extension = extension
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> Api:
        """The API with nobody logged in."""
        return Api(self.url)

    def __enter__(self) -> Self:
        try:
            self._start()
            if self._fill:
                self._put_data_in()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            print("\n".join(self.log.read_text().splitlines()[-40:]), file=sys.stderr)
        self.stop()

    def run(self, *words: str) -> None:
        """Runs a command of `tinybase` on the data folder."""
        done = subprocess.run(
            [BINARY, *words],
            env=self._environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"tinybase {' '.join(words)}: {done.stdout}{done.stderr}")

    def stop(self) -> None:
        """Stops the server and removes its folder."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether the process hasn't ended."""
        return self._process is not None and self._process.poll() is None

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "TINYBASE_DATA": str(self.folder),
            "TINYBASE_ADMIN_EMAIL": ADMIN,
            "TINYBASE_ADMIN_PASSWORD": PASSWORD,
            # Who fuzzes asks often; the limits have tests of their own.
            "TINYBASE_RATE_LIMIT_ENABLED": "false",
            "TINYBASE_LIMITS_STOP_GRACE": "1s",
        }

    def _start(self) -> None:
        if not BINARY.exists():
            raise RuntimeError(f"{BINARY} isn't built: run `cargo build --workspace`")
        self.run("init", str(self.folder))
        address = self.folder / "run/http.address"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [BINARY, "serve", "--port", "0"],
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.is_running():
            if address.exists():
                self.url = f"http://{address.read_text().strip()}"
                try:
                    self.api.send("GET", "/health/ready")
                    return
                except (OSError, Refused):
                    pass
            time.sleep(0.05)
        raise RuntimeError(f"the server didn't start:\n{self.log.read_text()}")

    def _put_data_in(self) -> None:
        self.api.send("POST", "/api/auth/register", {"email": USER, "password": PASSWORD})
        admin = self.api.login(ADMIN)
        for definition in COLLECTIONS:
            admin.send("POST", "/api/collections", definition)
        user = self.api.login(USER)
        for collection, records in RECORDS.items():
            for data in records:
                user.send("POST", f"/api/collections/{collection}/records", {"data": data})
        self.file = user.upload("hello.txt", b"Hello, everybody")
        if self._extension:
            self.run("extensions", "install", "--yes", str(ROOT / "examples/py-welcome"))
            schedule = {
                "name": "weighing",
                "function_name": "heaviest_penguins",
                "schedule": {"method": "cron", "cron": "0 6 * * *"},
            }
            admin.send("POST", "/api/admin/schedules", schedule)
