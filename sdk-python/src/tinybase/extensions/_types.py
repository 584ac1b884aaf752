"""How the decorators look to a type checker. Never imported at run time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar, overload

Lifecycle = TypeVar("Lifecycle", bound=Callable[[], object])
Handler = TypeVar("Handler", bound=Callable[[Any], object])


class LifecycleDecorator(Protocol):
    """For startup and shutdown."""

    @overload
    def __call__(self, function: Lifecycle, /) -> Lifecycle: ...
    @overload
    def __call__(self) -> Callable[[Lifecycle], Lifecycle]: ...


class UserDecorator(Protocol):
    """For what users do."""

    @overload
    def __call__(self, function: Handler, /) -> Handler: ...
    @overload
    def __call__(self, *, timeout: timedelta | None = None) -> Callable[[Handler], Handler]: ...


class RecordDecorator(Protocol):
    """For what happens to records."""

    @overload
    def __call__(self, function: Handler, /) -> Handler: ...
    @overload
    def __call__(
        self,
        collection: str | None = None,
        *,
        timeout: timedelta | None = None,
        reentrant: bool = False,
    ) -> Callable[[Handler], Handler]: ...


class FunctionDecorator(Protocol):
    """For calls of functions."""

    @overload
    def __call__(self, function: Handler, /) -> Handler: ...
    @overload
    def __call__(
        self, name: str | None = None, *, timeout: timedelta | None = None
    ) -> Callable[[Handler], Handler]: ...


class BeforeUserDecorator(Protocol):
    """For what users are about to do."""

    @overload
    def __call__(self, function: Handler, /) -> Handler: ...
    @overload
    def __call__(
        self, *, priority: int = 0, timeout: timedelta | None = None
    ) -> Callable[[Handler], Handler]: ...


class BeforeRecordDecorator(Protocol):
    """For what is about to happen to records."""

    @overload
    def __call__(self, function: Handler, /) -> Handler: ...
    @overload
    def __call__(
        self,
        collection: str | None = None,
        *,
        priority: int = 0,
        timeout: timedelta | None = None,
        reentrant: bool = False,
    ) -> Callable[[Handler], Handler]: ...


class BeforeFunctionDecorator(Protocol):
    """For functions about to be called."""

    @overload
    def __call__(self, function: Handler, /) -> Handler: ...
    @overload
    def __call__(
        self, name: str | None = None, *, priority: int = 0, timeout: timedelta | None = None
    ) -> Callable[[Handler], Handler]: ...
