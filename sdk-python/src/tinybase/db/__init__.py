"""The server's data in the manner of SQLModel: `ctx.db`, and `tinybase.db.models`.

Importing this imports neither; both need the package `sqlmodel` (`pip install tinybase-sdk[db]`).
"""

from __future__ import annotations

from tinybase.db._session import Result, Session

__all__ = ["Result", "Session"]
