"""Models of functions: their JSON Schema, and payloads and results through them.

Only a function that has a pydantic model ever meets pydantic, which its own module imported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybase._invocation import Outcome


def schema_of(model: Any, *, output: bool) -> str:  # noqa: ANN401 - a class, a dict or none
    """A model's JSON Schema as text; empty without a model."""
    if model is None:
        return ""
    from tinybase import _json

    if isinstance(model, dict):
        return _json.dumps(model)
    mode = "serialization" if output else "validation"
    return _json.dumps(model.model_json_schema(mode=mode))


def payload_of(model: Any) -> Callable[[str], Any]:  # noqa: ANN401 - a class, a dict or none
    """What makes a payload out of JSON text."""
    if model is None or isinstance(model, dict):
        return _plain_payload

    def validated(text: str) -> Any:  # noqa: ANN401 - an instance of the model
        import pydantic

        try:
            return model.model_validate_json(text or "{}")
        except pydantic.ValidationError as error:
            raise _refusal(error) from None

    return validated


def output_of(model: Any) -> Callable[[Any], Outcome]:  # noqa: ANN401 - a class, a dict or none
    """What makes an outcome out of a result."""
    if model is None or isinstance(model, dict):
        return _plain_output

    def dumped(value: Any) -> Outcome:  # noqa: ANN401 - the handler's result
        if not isinstance(value, model):
            value = model.model_validate(value)
        return ("success", value.model_dump_json(), None)

    return dumped


def _plain_payload(text: str) -> Any:  # noqa: ANN401 - JSON
    from tinybase import _json

    return _json.loads(text or "{}")


def _plain_output(value: Any) -> Outcome:  # noqa: ANN401 - the handler's result
    if value is None:
        return None
    from tinybase import _json

    return ("success", _json.dumps(value), None)


def _refusal(error: Any) -> Exception:  # noqa: ANN401 - pydantic's ValidationError
    from tinybase.errors import ValidationError

    problems = error.errors(include_url=False, include_context=False, include_input=False)
    violations = [
        ("".join(f"/{part}" for part in problem["loc"]), str(problem["msg"]))
        for problem in problems
    ]
    text = "; ".join(f"{field or '/'}: {message}" for field, message in violations)
    return ValidationError(
        f"the payload is not a {error.title}: {text}", code="invalid_input", violations=violations
    )
