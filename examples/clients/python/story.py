"""A user's way through the API, typed by the document of the server that answers."""

import json
import os
import time
from collections.abc import Iterator
from typing import TypeVar
from uuid import UUID

import httpx
from tinybase_client import AuthenticatedClient, Client
from tinybase_client.api.auth import login, register
from tinybase_client.api.collectionnotes import (
    create_record_of_notes,
    list_records_of_notes,
    update_record_of_notes,
    watch_records_of_notes,
)
from tinybase_client.api.functions import call_function_heaviest_penguins
from tinybase_client.models import (
    Credentials,
    FunctionHeaviestPenguinsInput,
    NotesInput,
    NotesPatch,
    NotesRecord,
    NotesRecordBody,
    NotesRecordPatch,
    Problem,
    Registration,
)

URL = os.environ.get("TINYBASE_URL", "http://localhost:8000")

Answer = TypeVar("Answer")


def given(answer: Answer | Problem | None) -> Answer:
    """What an answer gave, or an error with the problem's words."""
    if answer is None or isinstance(answer, Problem):
        raise RuntimeError(f"refused: {answer}")
    return answer


def sign_up() -> AuthenticatedClient:
    """Registers somebody new; the client that is logged in."""
    anonymous = Client(base_url=URL)
    email = f"ada-{time.time_ns()}@example.com"
    password = "correct horse battery"
    user = given(register.sync(client=anonymous, body=Registration(email, password)))
    tokens = given(login.sync(client=anonymous, body=Credentials(email, password)))
    if tokens.user_id != user.id:
        raise RuntimeError("somebody else is logged in")
    return AuthenticatedClient(base_url=URL, token=tokens.access_token)


def create(client: AuthenticatedClient, note: NotesInput) -> NotesRecord:
    """Writes a note down."""
    return given(create_record_of_notes.sync(client=client, body=NotesRecordBody(note)))


def changes(answer: httpx.Response) -> Iterator[NotesRecord]:
    """Each changed note of a stream of Server-Sent Events."""
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data" and name == "record.update":
            yield NotesRecord.from_dict(json.loads(value))


def next_change(answer: httpx.Response, id: UUID) -> NotesRecord:
    """Waits for the next change of a note."""
    for note in changes(answer):
        if note.id == id:
            return note
    raise RuntimeError("the stream has ended")


def refused() -> None:
    """What the type checker refuses: the document knows the collection's fields."""
    NotesInput(title="one", dnoe=True)  # type: ignore[call-arg]
    NotesInput(title=1)  # type: ignore[arg-type]
    NotesInput(done=True)  # type: ignore[call-arg]


def main() -> None:
    """Tells the story once."""
    client = sign_up()
    milk = create(client, NotesInput(title="buy milk", done=False))
    create(client, NotesInput(title="write home", done=True))
    page = given(
        list_records_of_notes.sync(client=client, filter_="done == false", sort="title", limit=50)
    )
    if milk.id not in {note.id for note in page.records}:
        raise RuntimeError("the new note isn't listed")
    print("open:", ", ".join(str(note.data.title) for note in page.records))

    # The generated function reads an answer to its end, which this one hasn't. Its request is used.
    request = watch_records_of_notes._get_kwargs()
    with client.get_httpx_client().stream(**request) as stream:
        stream.raise_for_status()
        patch = NotesRecordPatch(NotesPatch(done=True))
        updated = given(update_record_of_notes.sync(milk.id, client=client, body=patch))
        seen = next_change(stream, milk.id)
    if seen.data.done is not True or seen.data.title != updated.data.title:
        raise RuntimeError(f"something else was seen: {seen}")
    print("seen as it happened:", seen.data.title, "is done")

    question = FunctionHeaviestPenguinsInput(limit=1)
    outcome = given(call_function_heaviest_penguins.sync(client=client, body=question))
    if not outcome.result:
        raise RuntimeError(f"no penguin: {outcome.error_message}")
    heaviest = outcome.result.penguins[0]
    print(f"the heaviest penguin is a {heaviest.species} of {heaviest.body_mass_g} g")


if __name__ == "__main__":
    main()
