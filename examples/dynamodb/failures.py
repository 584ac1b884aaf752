"""What went wrong with DynamoDB, in words for an operator, and when to try again."""

import functools
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botowrap.errors import ResumeTokenError, SerializationError
from tinybase.errors import Reject, Retryable
from tinybase.functions import current_context

from .connection import settings

_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
_DELAY_SECONDS_MAX = 3600


def retried(handler: Callable[[Any], None]) -> Callable[[Any], None]:
    """Asks for more and more time between the attempts to deliver an event.

    3 s, 9 s, 27 s and so on: the usual eight attempts take an hour, which is what an outage of a
    region may take, and then the event is a dead letter. What isn't DynamoDB's fault, such as a
    number that no item can hold, is tried again in the server's own time.
    """

    @functools.wraps(handler)
    def handle(event: Any) -> None:
        try:
            handler(event)
        except (ClientError, BotoCoreError) as error:
            after = min(3 ** current_context().attempt, _DELAY_SECONDS_MAX)
            raise Retryable(explain(error), after=after) from error

    return handle


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Tells a caller what DynamoDB has against a request; its outages are failures."""

    @functools.wraps(function)
    def call(ctx: Any, payload: dict) -> Any:
        try:
            return function(ctx, payload)
        except (ResumeTokenError, SerializationError) as error:
            raise Reject(str(error), code="invalid_request") from error
        except ClientError as error:
            if _code(error) == "ValidationException":
                raise Reject(explain(error), code="invalid_request") from error
            raise

    return call


def explain(error: Exception) -> str:
    """One sentence with what to do about it."""
    code = _code(error)
    if code in _CREDENTIALS or isinstance(error, NoCredentialsError):
        hint = "renew the credentials, and restart the extension if it was started with them"
    elif code == "ResourceNotFoundException":
        hint = f"is there a table {settings.table!r} in this region? create_table = true makes it"
    elif code in ("AccessDeniedException", "AccessDenied"):
        hint = "it needs PutItem, GetItem, BatchGetItem, Query and Scan on the table"
    else:
        return str(error)
    return f"{error} ({hint})"


def _code(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
