"""Settings of this extension, which administrators set while the server runs.

Their keys are `ext.<name of the extension>.<key>`. They are read anew whenever they are asked for.
"""

from __future__ import annotations

from tinybase._context import current_context

__all__ = ["settings"]


class _Settings:
    """Texts under the keys of this extension."""

    __slots__ = ()

    def get(self, key: str, default: str | None = None) -> str | None:
        """The setting, or the default if nobody has set it.

        Args:
            key: `ext.<name of the extension>.<key>`; other settings are not for extensions.
            default: What to return if it isn't set.
        """
        value = current_context().as_extension().values.get(_own(key))
        return default if value is None else value.decode()

    def set(self, key: str, value: str | None) -> None:
        """Sets it; none takes it away.

        Args:
            key: As for `get`.
            value: The text.
        """
        values = current_context().as_extension().values
        if value is None:
            values.delete(_own(key))
        else:
            values.set(_own(key), str(value).encode())


def _own(key: str) -> str:
    if not key.startswith("ext."):
        raise ValueError(f"{key!r} is no setting of an extension; it has to begin with 'ext.'")
    return key


settings = _Settings()
"""The settings."""
