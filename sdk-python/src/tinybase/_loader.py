"""Imports an extension's folder as a package, whatever the folder is called."""

from __future__ import annotations

import os
import sys
from importlib import util
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


class LoadError(Exception):
    """There is nothing to import in the folder."""


def package_name(folder: str) -> str:
    """The name under which a folder is imported; the folder's own may not be an identifier."""
    base = os.path.basename(os.path.realpath(folder))
    return "tinybase_extension_" + "".join(c if c.isalnum() else "_" for c in base)


def load(folder: str, name: str = "") -> ModuleType:
    """Imports an extension and returns its package.

    Installed extensions live in folders named after their version, so the server tells the name,
    which loggers show. Without one the package is called after the folder.

    The entry point is the one that the manifest names, else `__init__.py`, else `main.py`.
    Modules of the folder can import each other relatively, or by their plain names.

    Raises:
        LoadError: If there is no entry point.
    """
    folder = os.path.realpath(folder)
    name = package_name(name or folder)
    entry = _entry_point(folder)
    # At the end, so that a `types.py` of the extension doesn't hide the standard library's.
    if folder not in sys.path:
        sys.path.append(folder)
    package = _import(name, os.path.join(folder, "__init__.py"), folder, entry == "__init__.py")
    if entry == "__init__.py":
        return package
    stem = entry.removesuffix(".py").replace("/", ".")
    _import(f"{name}.{stem}", os.path.join(folder, entry), None, True)
    return package


def load_file(path: str) -> ModuleType:
    """Imports an extension that is a single file."""
    return _import(package_name(path.removesuffix(".py")), path, None, True)


def unload(folder: str) -> None:
    """Forgets an extension's modules, so that it can be loaded anew."""
    folder = os.path.realpath(folder)
    name = package_name(folder.removesuffix(".py"))
    for module in [*sys.modules]:
        if module == name or module.startswith(name + "."):
            del sys.modules[module]
    if folder in sys.path:
        sys.path.remove(folder)


def _import(name: str, path: str, folder: str | None, execute: bool) -> ModuleType:
    locations = None if folder is None else [folder]
    if execute:
        spec = util.spec_from_file_location(name, path, submodule_search_locations=locations)
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = locations
    if spec is None:
        raise LoadError(f"{path} is not a Python module")
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if execute and spec.loader is not None:
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _entry_point(folder: str) -> str:
    named = _entry_point_of_manifest(folder)
    if named:
        path = os.path.realpath(os.path.join(folder, named))
        if not path.startswith(folder + os.sep) or not os.path.isfile(path):
            raise LoadError(f"extension.toml names the entry point {named!r}; it isn't in {folder}")
        return os.path.relpath(path, folder)
    for candidate in ("__init__.py", "main.py"):
        if os.path.isfile(os.path.join(folder, candidate)):
            return candidate
    raise LoadError(
        f"{folder} has neither an `__init__.py` nor a `main.py`, "
        "and its extension.toml names no entry_point"
    )


def _entry_point_of_manifest(folder: str) -> str:
    try:
        with open(os.path.join(folder, "extension.toml"), "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return ""
    # A parser of TOML is a slow import, and hardly any manifest has the key.
    if b"entry_point" not in text:
        return ""
    import tomllib

    extension = tomllib.loads(text.decode()).get("extension", {})
    named = extension.get("entry_point", "") if isinstance(extension, dict) else ""
    if not isinstance(named, str):
        raise LoadError(f"extension.toml: entry_point is a file's name, not {named!r}")
    return named
