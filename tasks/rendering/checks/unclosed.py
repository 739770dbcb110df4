"""Template tags that do not end or begin, which readers would see as they stand: pure, no I/O.

The engine refuses a placeholder or block without an end. It takes ``{#`` without ``#}`` for text,
as it does what ends without a beginning. Braces of style sheets and scripts are text indeed.
"""

import re
from collections.abc import Iterator
from typing import Final

from tasks.rendering.hints.tags import ICU, is_icu
from tasks.rendering.html.masks import flat, without_code
from tasks.rendering.places import Fault
from tasks.rendering.tags import Kind, tags

_UNCLOSED: Final = (
    "a comment is not closed: write #} at its end, or {% raw %}{#{% endraw %} where these "
    "characters are meant"
)
_NESTED: Final = "a comment contains another {#: close the first one with #}"
_UNOPENED: Final = (
    "'{0}' closes a {1} that is not open: write {2} at its beginning, or "
    "{{% raw %}}{0}{{% endraw %}} where these characters are meant"
)
_ENDS: Final = {"}}": ("placeholder", "{{"), "%}": ("block", "{%"), "#}": ("comment", "{#")}
_BRACE = re.compile(r"\{#|#\}|%\}|\}\}|[{}]")
_STYLE_RULE = re.compile(r"\{#[A-Za-z_][^{}]*\{(?=\s*(?:[-\w]+\s*:|\}))")


def unclosed(source: str, *, html: bool) -> list[Fault]:
    """Return the marks of a source that compiles, but has them without their counterparts.

    Where braces are in pairs, as in JSON and in style sheets, ``}}`` closes two of them. Content of
    ``<style>`` and ``<script>`` is left out. HTML without any tag may be the partial that a
    ``<style>`` includes, so rules with an id are let pass there.
    """
    if _BRACE.search(source) is None:
        return []
    return sorted(_unclosed(source, html=html), key=lambda each: each.start)


def _unclosed(source: str, *, html: bool) -> Iterator[Fault]:
    for tag in tags(source):
        if tag.kind is Kind.COMMENT and "{#" in source[tag.start + 2 : tag.end]:
            yield Fault(tag.start, _NESTED)
    mask = flat(source)
    if html and "<" not in source:
        mask = _STYLE_RULE.sub(lambda match: "{".ljust(len(match[0]) - 1) + "{", mask)
    yield from _in_text(source, without_code(mask))


def _in_text(source: str, mask: str) -> Iterator[Fault]:
    depth = 0
    for match in _BRACE.finditer(mask):
        mark, start = match[0], match.start()
        if mark == "{":
            depth += 1
        elif mark == "{#":
            if is_icu(source, start):
                yield Fault(start, ICU)
                return
            yield Fault(start, _UNCLOSED)
        elif mark == "}":
            if not depth and source.endswith("}}", 0, start):
                yield _unopened(start - 2, "}}")
            depth -= depth > 0
        elif mark == "#}" or depth < mark.count("}"):
            yield _unopened(start, mark)
            depth = 0
        else:
            depth -= mark.count("}")


def _unopened(start: int, mark: str) -> Fault:
    kind, opening = _ENDS[mark]
    return Fault(start, _UNOPENED.format(mark, kind, opening))
