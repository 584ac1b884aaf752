"""TinyBase's kit for extensions in Python."""

__version__ = "0.1.0"
