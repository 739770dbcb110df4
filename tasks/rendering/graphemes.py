"""Cutting texts between what a reader sees as characters (Unicode Standard Annex 29).

A flag is two code points, a family seven, an accented letter sometimes two. The engine counts and
cuts code points; so it gets a text with one stand-in for each cluster.
"""

from collections.abc import Callable
from typing import Any, Final

import regex  # type: ignore[import-untyped] # its stubs are a package of their own
from minijinja import safe

_CLUSTER: Final = regex.compile(r"\X")
_FIRST_STAND_IN: Final = 0xF0000
_STAND_INS: Final = 0x10FFFE - _FIRST_STAND_IN
"""Private characters of planes 15 and 16."""


def whole_clusters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter of texts that counts grapheme clusters as characters, and cuts none."""

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        if not isinstance(value, str) or value.isascii():
            return function(value, *arguments, **keywords)
        encoded, clusters = _encoded(str(value))
        if not clusters:
            return function(value, *arguments, **keywords)
        given = safe(encoded) if hasattr(value, "__html__") else encoded
        result = function(given, *arguments, **keywords)
        text = str(result).translate(clusters)
        return safe(text) if hasattr(result, "__html__") else text

    return call


def _encoded(text: str) -> tuple[str, dict[int, str]]:
    """Return a text with stand-ins, and the clusters by their stand-ins."""
    stand_ins: dict[str, str] = {}
    parts: list[str] = []
    for cluster in _CLUSTER.findall(text):
        if len(cluster) == 1 or cluster.isspace():
            parts.append(cluster)
            continue
        if cluster not in stand_ins and len(stand_ins) < _STAND_INS:
            stand_ins[cluster] = chr(_FIRST_STAND_IN + len(stand_ins))
        parts.append(stand_ins.get(cluster, cluster))
    if any(character in text for character in stand_ins.values()):
        return text, {}  # private characters of the value's own
    return "".join(parts), {ord(stand_in): cluster for cluster, stand_in in stand_ins.items()}
