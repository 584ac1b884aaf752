"""What happens when the server starts, a user registers, a penguin is created."""

import logging
from collections import Counter
from uuid import UUID

from tinybase.errors import HostNotFound
from tinybase.extensions import (
    RecordCreateEvent,
    UserRegisterEvent,
    on_record_create,
    on_startup,
    on_user_register,
)
from tinybase.functions import current_context

logger = logging.getLogger(__name__)

# The species of each penguin. By id, since an event may be delivered more than once.
_species: dict[UUID, str] = {}


@on_startup
def count_afresh() -> None:
    """Counts what is there already: memory doesn't outlive a restart."""
    _species.clear()
    try:
        for penguin in current_context().records.iterate("penguins"):
            _species[penguin.id] = penguin.data["species"]
    except HostNotFound:
        logger.info("there is no collection of penguins yet")
    else:
        logger.info("ready, with %d penguins", len(_species))


@on_user_register
def greet(event: UserRegisterEvent) -> None:
    """Greets a new user."""
    print(f"Welcome, {event.email}!")


@on_record_create(collection="penguins")
def count(event: RecordCreateEvent) -> None:
    """Keeps a tally by species."""
    _species[event.record_id] = event.data["species"]
    tally = Counter(_species.values())
    line = ", ".join(f"{number} {species}" for species, number in sorted(tally.items()))
    logger.info("%s from %s, so far %s", event.data["species"], event.data["island"], line)
