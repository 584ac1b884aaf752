"""A local HTTP server that answers DynamoDB's calls at once, from answers made beforehand.

python stub.py   prints its port, and serves until its input ends
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import zlib
from typing import Any

ITEM: dict[str, Any] = {
    "id": {"S": "user-1"},
    "age": {"N": "36"},
    "score": {"N": "1.25"},
    "active": {"BOOL": True},
    "tags": {"SS": ["a", "b", "c"]},
    "address": {"M": {"city": {"S": "London"}, "lines": {"L": [{"S": "1"}, {"S": "2"}]}}},
    "CreatedAt": {"N": "1700000000"},
    "UpdatedAt": {"N": "1700000000"},
}
ANSWERS: dict[str, Any] = {
    "PutItem": {},
    "GetItem": {"Item": ITEM},
    "Query": {"Items": [ITEM] * 1000, "Count": 1000, "ScannedCount": 1000},
    "BatchWriteItem": {"UnprocessedItems": {}},
}


def _response(answer: Any) -> bytes:
    body = json.dumps(answer).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\nx-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


def _serve(connection: socket.socket, responses: dict[bytes, bytes]) -> None:
    with connection, connection.makefile("rb") as incoming:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while incoming.readline():
            headers = {}
            while (line := incoming.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                headers[name.strip().lower()] = value.strip()
            incoming.read(int(headers[b"content-length"]))
            connection.sendall(responses[headers[b"x-amz-target"].partition(b".")[2]])


def main() -> None:
    """Serves until the input ends."""
    responses = {name.encode(): _response(answer) for name, answer in ANSWERS.items()}
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, responses), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
