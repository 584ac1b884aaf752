"""What the extension costs, in ratios to boto3's own resource doing the same conversion.

Each task runs in turns with the plain client (which converts nothing), boto3's resource, and the
enhanced client, so that a noisy moment hits all of them; the shortest of all turns counts.
Processor time is that of this process alone, so it holds on a busy machine too.

    compare.py [turns]     with botowrap/src on the path: see docs/performance.md
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
from stub import ITEM

from botowrap import DynamoDBConfig, DynamoDBExtension, ExtensionManager

GOAL = 1.15
NATIVE: dict[str, Any] = {
    "id": "user-1",
    "age": 36,
    "score": Decimal("1.25"),
    "active": True,
    "tags": {"a", "b", "c"},
    "address": {"city": "London", "lines": ["1", "2"]},
}
BATCH = 1000

Task = Callable[[], object]


def session() -> boto3.Session:
    """A session with credentials that nobody checks."""
    return boto3.Session("testing", "testing", region_name="us-east-1")


def enhanced(url: str, **config: Any) -> Any:
    """An enhanced client."""
    made = session()
    ExtensionManager(made).register(DynamoDBExtension(DynamoDBConfig(**config))).bootstrap()
    return made.client("dynamodb", endpoint_url=url)


def tasks(url: str) -> dict[str, tuple[Task, Task, Task, Task]]:
    """For each task: the plain client, the resource, the same conversion, and all features."""
    plain: Any = session().client("dynamodb", endpoint_url=url)
    table: Any = session().resource("dynamodb", endpoint_url=url).Table("t")
    same = enhanced(url, add_timestamps=False, log_consumed=False)
    full = enhanced(url)
    wire = {name: ITEM[name] for name in NATIVE}
    items = [{**NATIVE, "id": f"user-{number}"} for number in range(BATCH)]

    def plain_batch() -> None:
        for start in range(0, BATCH, 25):
            requests = [{"PutRequest": {"Item": wire}} for _ in items[start : start + 25]]
            plain.batch_write_item(RequestItems={"t": requests})

    def resource_batch() -> None:
        with table.batch_writer() as writer:
            for item in items:
                writer.put_item(Item=item)

    condition = "id = :id"
    values = {":id": "user-1"}
    key = {"id": "user-1"}

    def query(client: Any) -> Task:
        return lambda: client.query(
            TableName="t", KeyConditionExpression=condition, ExpressionAttributeValues=values
        )

    return {
        "put": (
            lambda: plain.put_item(TableName="t", Item=wire),
            lambda: table.put_item(Item=NATIVE),
            lambda: same.put_item(TableName="t", Item=NATIVE),
            lambda: full.put_item(TableName="t", Item=NATIVE),
        ),
        "get": (
            lambda: plain.get_item(TableName="t", Key={"id": {"S": "user-1"}}),
            lambda: table.get_item(Key=key),
            lambda: same.get_item(TableName="t", Key=key),
            lambda: full.get_item(TableName="t", Key=key),
        ),
        "query of 1,000": (
            lambda: plain.query(
                TableName="t",
                KeyConditionExpression=condition,
                ExpressionAttributeValues={":id": {"S": "user-1"}},
            ),
            lambda: table.query(KeyConditionExpression=condition, ExpressionAttributeValues=values),
            query(same),
            query(full),
        ),
        "batch write of 1,000": (
            plain_batch,
            resource_batch,
            lambda: same.put_all(TableName="t", Items=items),
            lambda: full.put_all(TableName="t", Items=items),
        ),
    }


def seconds(task: Task, repeats: int) -> tuple[float, float]:
    """The time of one run of the task, over so many: on the wall, and of this process."""
    wall, own = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        task()
    return (time.perf_counter() - wall) / repeats, (time.process_time() - own) / repeats


def shortest(rivals: tuple[Task, ...], turns: int, repeats: int) -> list[tuple[float, float]]:
    """For each rival its shortest times, of turns that all take one after the other."""
    best = [seconds(rival, 1) for rival in rivals]
    for _ in range(turns):
        for place, rival in enumerate(rivals):
            now, known = seconds(rival, repeats), best[place]
            best[place] = (min(now[0], known[0]), min(now[1], known[1]))
    return best


def compare(turns: int) -> bool:
    """Prints a line for each task, and tells whether all ratios meet the goal."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stub.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stub:
        assert stub.stdout is not None
        url = f"http://127.0.0.1:{int(stub.stdout.readline())}"
        print("                         ms of plain, resource, botowrap,      all  to the resource")
        met = True
        for name, rivals in tasks(url).items():
            best = shortest(rivals, turns, 1 if "1,000" in name else 50)
            plain, resource, same, full = (1000 * wall for wall, _ in best)
            print(
                f"{name:24} {plain:9.2f} {resource:9.2f} {same:9.2f} {full:9.2f}"
                f"  {same / resource:.2f}, {full / resource:.2f} with all;"
                f" processor time {best[2][1] / best[1][1]:.2f}, {best[3][1] / best[1][1]:.2f}"
            )
            met = met and same <= GOAL * resource
        stub.communicate()
    print(f"the goal, at most {GOAL} with the same conversion, is {'met' if met else 'missed'}")
    return met


if __name__ == "__main__":
    sys.exit(not compare(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
