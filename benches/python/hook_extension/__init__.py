"""The Python extension that is measured: one hook that approves all texts but one."""

from tinybase.errors import Reject
from tinybase.extensions import BeforeRecordCreateEvent, before_record_create


@before_record_create
def approve(event: BeforeRecordCreateEvent) -> None:
    """Approves, unless the text is the one by which the benchmark proves that this runs."""
    if event.data["text"] == "no":
        raise Reject("the text is refused")
