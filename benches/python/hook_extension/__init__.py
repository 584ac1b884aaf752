"""The Python extension that is measured: one hook that approves."""

from tinybase.extensions import BeforeRecordCreateEvent, before_record_create


@before_record_create
def approve(event: BeforeRecordCreateEvent) -> None:
    """Approves."""
