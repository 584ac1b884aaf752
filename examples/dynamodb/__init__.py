"""Mirrors collections into a DynamoDB table, and reads and writes tables for administrators."""

from . import functions, hooks, sync

__all__ = ["functions", "hooks", "sync"]
__version__ = "0.1.0"
