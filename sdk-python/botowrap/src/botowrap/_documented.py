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
            setattr(cls, name, _with_both_spellings(member))


def _with_both_spellings(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def as_documented(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "class_attributes" not in kwargs or "class_attrs" in kwargs:
            return method(self, *args, **kwargs)
        kwargs["class_attrs"] = kwargs.pop("class_attributes")
        result = method(self, *args, **kwargs)
        if isinstance(getattr(self, "_client_instances", None), list):
            _follow_clients(self._client_instances, kwargs["base_classes"])
        return result

    return as_documented


def _follow_clients(instances: list[Any], base_classes: list[type]) -> None:
    """Makes every client of the class that is being made appear in `instances` while it lives."""

    class Followed:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

            def forget(reference: Any) -> None:
                instances[:] = [known for known in instances if known is not reference]

            # A proxy, because the list must not keep alive what it is there to clean up.
            instances.append(weakref.proxy(self, forget))

    # Beside the client's own base, so that a mixin at the front stays at the front.
    base_classes.insert(len(base_classes) - 1, Followed)
