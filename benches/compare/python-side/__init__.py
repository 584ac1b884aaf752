"""One hook that approves and one function that answers what it got."""

from tinybase.extensions import BeforeRecordCreateEvent, before_record_create
from tinybase.functions import register


@before_record_create(collection="hooked_python")
def approve(event: BeforeRecordCreateEvent) -> None:
    """Approves; reading the title is what an author would do at least."""
    event.data["title"]


@register(name="python_echo", auth="auth")
def echo(ctx, payload):
    """Answers with what it got."""
    return payload
