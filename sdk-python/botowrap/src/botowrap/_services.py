"""Whether an extension's `SERVICE` names something that botocore has clients for."""

from __future__ import annotations

import difflib
import logging
from typing import Any

from boto3.session import Session
from botocore.utils import EVENT_ALIASES

from botowrap.errors import RegistrationError

_logger = logging.getLogger("botowrap.core")

# The documentation's stand-in for a service's name; its sample must run as printed.
_STAND_IN = "xyz"


def check_service(extension: Any, session: Session) -> None:
    """Refuses an extension whose `SERVICE` no event will ever carry."""
    service = getattr(extension, "SERVICE", None)
    if not isinstance(service, str):
        return
    known = {*session.get_available_services(), *EVENT_ALIASES, *EVENT_ALIASES.values()}
    if service in known:
        return
    message = f"{type(extension).__name__}.SERVICE is {service!r}, which is no AWS service"
    if service == _STAND_IN:
        _logger.warning("%s: no client will ever get this extension", message)
        return
    close = difflib.get_close_matches(service.lower().replace(" ", "-"), sorted(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; see session.get_available_services()"
    raise RegistrationError(message + hint)
