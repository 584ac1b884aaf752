"""Holds a running server against its own OpenAPI document, as nobody, a user and an administrator.

`fuzz.py [SEED] [--as anonymous|user|administrator]`. What is asked depends on the seed alone, so a
failure comes again with the seed that is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from server import ADMIN, COLLECTIONS, PASSWORD, USER, Server

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
SEED = 20260101
EVERYBODY = {"anonymous": None, "user": USER, "administrator": ADMIN}
# So that a hang is a failure, also on a machine that has much else to do.
MINUTES_MAX = 20

LOGIN = """
[auth.dynamic.openapi.bearer]
path = "/api/auth/login"
payload = {{ email = "{email}", password = "{password}" }}
extract_selector = "/access_token"
# The tests log out as well.
retry_on = [401]
"""


def known(server: Server) -> tuple[dict[str, list[str]], list[str]]:
    """What is there, by its kind, and what of it has to stay."""
    admin = server.api.login(ADMIN)
    call = admin.send("POST", "/api/functions/heaviest_penguins", {})
    things = admin.send("GET", "/api/collections/things/records")["records"]
    schedules = admin.send("GET", "/api/admin/schedules")["schedules"]
    there = {
        "collections": [str(collection["name"]) for collection in COLLECTIONS],
        "things": [thing["id"] for thing in things],
        "functions": ["heaviest_penguins"],
        "extensions": ["py-welcome"],
        "schedules": [schedule["id"] for schedule in schedules],
        "calls": [call["call_id"]],
        "files": [server.file],
    }
    kept = [server.api.login(who).send("GET", "/api/auth/me")["id"] for who in (ADMIN, USER)]
    for kind in ("collections", "extensions", "schedules"):
        kept += there[kind]
    return there, kept


def fuzz(server: Server, who: str, seed: int) -> bool:
    """Asks for everything in the document of one of them; says whether all of it held."""
    there, kept = known(server)
    settings = (HERE / "schemathesis.toml").read_text()
    for kind, names in there.items():
        settings += f"{kind} = {{ values = {json.dumps(names)} }}\n"
    email = EVERYBODY[who]
    api = server.api
    if email is not None:
        settings += LOGIN.format(email=email, password=PASSWORD)
        api = api.login(email)
    config = server.folder / f"schemathesis-{who}.toml"
    config.write_text(settings)
    # What is in it depends on who asks.
    document = server.folder / f"openapi-{who}.json"
    document.write_text(json.dumps(api.send("GET", "/openapi.json")))
    command: list[str | Path] = [
        SCHEMATHESIS,
        "--config-file",
        config,
        "run",
        document,
        "--url",
        server.url,
    ]
    command += ["--seed", str(seed), "--no-color"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "rules",
        "PYTHONPATH": str(HERE),
        "CONTRACT_KEPT": ",".join(kept),
    }
    started = time.monotonic()
    print(f"--- as {who}, seed {seed}", flush=True)
    try:
        done = subprocess.run(command, cwd=server.folder, env=environment, timeout=MINUTES_MAX * 60)
    except subprocess.TimeoutExpired:
        print(f"--- as {who}: not done after {MINUTES_MAX} minutes", flush=True)
        return False
    print(f"--- as {who}: {time.monotonic() - started:.0f} s", flush=True)
    if not server.is_running():
        print(f"the server has ended:\n{server.log.read_text()[-4000:]}")
        return False
    return done.returncode == 0


def main() -> int:
    """Asks as everybody; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, default=SEED)
    parser.add_argument("--as", dest="who", choices=EVERYBODY, action="append")
    chosen = parser.parse_args()
    failed = []
    for who in chosen.who or EVERYBODY:
        # A server for each: what one of them deletes, the next one needs.
        with Server() as server:
            if not fuzz(server, who, chosen.seed):
                failed.append(who)
    if failed:
        print(f"the document and the server differ, as {', '.join(failed)}; seed {chosen.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
