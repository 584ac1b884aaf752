"""What clients can call."""

from collections.abc import Iterator

from tinybase.functions import Context, register

# The server checks a payload against this before the function is called, and publishes it. With
# pydantic among the extension's dependencies it could be a model.
QUESTION = {
    "type": "object",
    "properties": {
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 3},
        "species": {"type": "string"},
    },
    "additionalProperties": False,
}

ANSWER = {
    "type": "object",
    "properties": {
        "penguins": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "species": {"type": "string"},
                    "island": {"type": "string"},
                    "body_mass_g": {"type": "integer"},
                },
                "required": ["species", "island", "body_mass_g"],
            },
        },
    },
    "required": ["penguins"],
}


@register(
    name="heaviest_penguins",
    description="The heaviest penguins, of all or of one species",
    auth="public",
    input_model=QUESTION,
    output_model=ANSWER,
    tags=["penguins"],
)
def heaviest_penguins(ctx: Context, payload: dict) -> dict:
    """The heaviest penguins, of all or of one species."""
    where: list[tuple[str, str, object]] = [("data.body_mass_g", ">", 0)]
    if "species" in payload:
        where.append(("data.species", "==", payload["species"]))
    found = ctx.records.find(
        "penguins", where=where, order_by="-data.body_mass_g", limit=payload.get("limit", 3)
    )
    names = ("species", "island", "body_mass_g")
    return {"penguins": [{name: penguin.data[name] for name in names} for penguin in found]}


@register(
    name="every_penguin",
    description="All penguins, one by one",
    auth="public",
    output_model={"type": "object", "required": ["species", "island"]},
    tags=["penguins"],
)
def every_penguin(ctx: Context, payload: dict) -> Iterator[dict]:
    """All penguins, one by one: each is with the client before the next page is asked for."""
    for penguin in ctx.records.iterate("penguins"):
        yield penguin.data
