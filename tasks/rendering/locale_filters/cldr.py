"""CLDR data that Babel leaves out, by language (``cldr.json``)."""

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

from tasks.rendering.locale_filters.locales import locale_of

_LATIN: Final = "latn"


@lru_cache(maxsize=1024)
def extra(table: str, language: str, default: str | int) -> Any:  # noqa: ANN401 - text or a number
    """Return a table's entry for a language or for a shortened tag, else ``default``."""
    values = _data()[table]
    tag = str(locale_of(language)).replace("_", "-")
    while tag:
        if tag in values:
            return values[tag] or default
        tag = tag.rpartition("-")[0]
    return default


@lru_cache(maxsize=1024)
def numbering_system(language: str) -> str:
    """Return the system of digits that a language writes numbers with, such as ``arab``."""
    system = str(locale_of(language).default_numbering_system)
    return system if system in _data()["digits"] else _LATIN


@lru_cache(maxsize=64)
def digits(system: str) -> Mapping[int, str]:
    """Return the digits of a numbering system by the Western ones, for ``str.translate``."""
    own = _data()["digits"].get(system)
    return {} if own is None else dict(zip(map(ord, "0123456789"), own, strict=True))


@cache
def _data() -> dict[str, dict[str, Any]]:
    text = resources.files(__package__).joinpath("cldr.json").read_text(encoding="utf-8")
    data: dict[str, dict[str, Any]] = json.loads(text)
    return data
