"""What makes the documented way of writing an extension true.

The document's `_attach_mixin` takes `class_attrs`, while botocore's event carries
`class_attributes`; and its `_client_instances` is emptied in `detach` but filled by nobody.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any


def accept_both_spellings(cls: type) -> None:
    """Lets every method of `cls` that names `class_attrs` be called with `class_attributes`."""
    for name, member in list(vars(cls).items()):
        if inspect.isfunction(member) and "class_attrs" in inspect.signature(member).parameters:
            setattr(cls, name, _with_both_spellings(name, member))


def _with_both_spellings(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def as_documented(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "class_attributes" not in kwargs or "class_attrs" in kwargs:
            return method(self, *args, **kwargs)
        kwargs["class_attrs"] = kwargs.pop("class_attributes")
        result = method(self, *args, **kwargs)
        base_classes: list[type] = kwargs.get("base_classes", [])
        event = kwargs.get("event_name")
        if base_classes and event is not None:
            instances = getattr(self, "_client_instances", None)
            followed = _followed_client(
                instances if isinstance(instances, list) else [], event, getattr(self, name)
            )
            # Beside the client's own base, so that a mixin at the front stays at the front.
            base_classes.insert(len(base_classes) - 1, followed)
        return result

    return as_documented


def _followed_client(instances: list[Any], event: str, handler: Callable[..., Any]) -> type:
    """A base of clients that appear in `instances` while they live, and keep no `handler`."""

    class Followed:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

            def forget(reference: Any) -> None:
                instances[:] = [known for known in instances if known is not reference]

            # A proxy, because the list must not keep alive what it is there to clean up.
            instances.append(weakref.proxy(self, forget))
            _forget_copy(self, event, handler)

    return Followed


def _forget_copy(client: Any, event: str, handler: Callable[..., Any]) -> None:
    """Drops the client's own copy of a handler of its session.

    A client starts with copies of all handlers of its session, also of those of events that only
    a session has; nobody would ever take these back.
    """
    events = client.meta.events
    by_id = getattr(getattr(events, "_emitter", events), "_unique_id_handlers", {})
    for unique_id, held in list(by_id.items()):
        if held.get("handler") == handler:
            events.unregister(event, unique_id=unique_id)
            return
    events.unregister(event, handler)
