"""Extensions, and the manager that attaches them to a session."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, Self, cast

import boto3
from boto3.session import Session

from botowrap._documented import accept_both_spellings
from botowrap._services import check_service
from botowrap.errors import AttachError, DetachError

__all__ = ["BaseExtension", "ExtensionManager"]

_logger = logging.getLogger(__name__)


class BaseExtension:
    """What every extension is: something to attach to a session, and to detach again."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        accept_both_spellings(cls)

    def attach(self, session: Session) -> None:
        """Registers the extension's handlers on the session's events."""
        raise NotImplementedError(f"{type(self).__name__} has no attach()")

    def detach(self, session: Session) -> None:
        """Takes back all that `attach` did, on the session and on its living clients."""
        raise NotImplementedError(f"{type(self).__name__} has no detach()")


class ExtensionManager:
    """Attaches extensions to one session, in the order of their registration.

    Without a session it is boto3's default one, which is made if there is none, so that
    `boto3.client` gets what is attached here.
    """

    def __init__(self, session: Session | None = None) -> None:
        self.session: Session = session or _default_session()
        self._extensions: list[BaseExtension] = []
        self._attached: list[BaseExtension] = []

    def register(self, ext: BaseExtension) -> Self:
        """Takes an extension for the next `bootstrap`; the same one twice counts once."""
        is_extension = callable(getattr(ext, "attach", None)) and callable(
            getattr(ext, "detach", None)
        )
        if isinstance(ext, type) or not is_extension:
            hint = f"; register an instance: {ext.__name__}(…)" if isinstance(ext, type) else ""
            raise TypeError(f"{ext!r} is not an extension: it needs attach and detach{hint}")
        if not _among(self._extensions, ext):
            check_service(ext, self.session)
            self._extensions.append(ext)
        return self

    def bootstrap(self) -> Self:
        """Attaches what is registered and not attached yet.

        An extension that fails is rolled back and the others are attached all the same; then an
        `AttachError` names the failed ones. Calling again tries those again.
        """
        failures: list[tuple[BaseExtension, Exception]] = []
        for extension in self._extensions:
            if _among(self._attached, extension):
                continue
            try:
                extension.attach(self.session)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others must attach
                failures.append((extension, error))
                self._roll_back(extension)
            else:
                self._attached.append(extension)
        if failures:
            raise AttachError(
                _summary("attach", failures, len(self._extensions)), _causes(failures)
            )
        return self

    def teardown(self) -> None:
        """Detaches what is attached, last one first, and goes on if one fails."""
        failures: list[tuple[BaseExtension, Exception]] = []
        attached = len(self._attached)
        while self._attached:
            extension = self._attached.pop()
            try:
                extension.detach(self.session)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others must detach
                failures.append((extension, error))
        if failures:
            raise DetachError(_summary("detach", failures, attached), _causes(failures))

    def _roll_back(self, extension: BaseExtension) -> None:
        try:
            extension.detach(self.session)
        except Exception:
            _logger.debug("%s could not be rolled back", type(extension).__name__, exc_info=True)

    def __enter__(self) -> Self:
        try:
            return self.bootstrap()
        except AttachError:
            self.teardown()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.teardown()


def _default_session() -> Session:
    if boto3.DEFAULT_SESSION is None:
        boto3.setup_default_session()
    session: Any = boto3.DEFAULT_SESSION
    return cast("Session", session)


def _among(extensions: list[BaseExtension], extension: BaseExtension) -> bool:
    return any(known is extension for known in extensions)


def _causes(failures: list[tuple[BaseExtension, Exception]]) -> list[Exception]:
    return [error for _, error in failures]


def _summary(what: str, failures: list[tuple[BaseExtension, Exception]], count: int) -> str:
    named = "; ".join(f"{type(ext).__name__}: {error}" for ext, error in failures)
    return f"{len(failures)} of {count} extensions did not {what}: {named}"
