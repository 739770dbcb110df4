"""The list of the inner names of libraries that this service relies on."""

import hashlib
import inspect
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

LENGTH: Final = 12
_WRAPPED: Final = ("fget", "func", "__func__", "_cached_property__get")
"""Where properties and methods keep the function that they call."""


class PrivateName(NamedTuple):
    """A line of the list: ``module:Class.attribute``, the module that uses it, and its digest."""

    path: str
    used_by: str
    digest: str


def names() -> list[PrivateName]:
    """Return the list."""
    file = Path(__file__).resolve().parents[2] / "worker" / "private_names.txt"
    lines = file.read_text().splitlines()
    return [PrivateName(*line.split()) for line in lines if not line.startswith("#")]


def digest_of(path: str) -> str:
    """Return the digest of the source of what ``path`` names, or of its value.

    Raises
    ------
    AttributeError, ImportError
        There is nothing of that name any more.
    """
    module, _, attributes = path.partition(":")
    target: object = import_module(module)
    for name in attributes.split("."):
        target = inspect.getattr_static(target, name)
    for name in _WRAPPED:
        target = getattr(target, name, target)
    text = inspect.getsource(target) if callable(target) else repr(target)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
