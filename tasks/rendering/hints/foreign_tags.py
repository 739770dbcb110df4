"""Tags of Handlebars, Mustache and Liquid, and what to write instead of each: pure, no I/O.

The engine reads a source up to its first error. Authors who bring templates from another engine
have one in every block, so all of them are reported at once.
"""

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from tasks.errors import MOST_PROBLEMS, Problem
from tasks.rendering.hints.sources import COLON, STATEMENTS
from tasks.rendering.places import placed, shortened
from tasks.rendering.tags import STRING, Kind, tags

_TAG: Final = re.compile(r"\{\{(?:(\{[^{}]*\})|~?([^{}]*?)~?)\}\}")
_PATH: Final = re.compile(r"(?:\.\./)*(this(?=[./]|$))?[./]?((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)?")
_LOOP: Final = "{% for ITEM in PATH %}, in which members are {{ ITEM.member }}"
_VALUE: Final = (
    "{{ PATH }}, with two braces; values are never markup, unless they are declared as 'markdown'"
)
_RULES: Final = tuple(
    (re.compile(pattern, re.DOTALL), default, remedy)
    for pattern, default, remedy in (
        (r"\{(?P<path>.*)\}", "name", _VALUE),
        (r"&(?!#?\w+;)(?P<path>.*)", "name", _VALUE),
        (r"else|\^", "", "{% else %}"),
        (r"else\s+(?:if\s)?(?P<path>.+)", "name", "{% elif PATH %}"),
        (r"(?P<path>(?:this(?=[./]|$)|\.\./).*)", "item", "{{ PATH }}"),
        (r"\.", "", "{{ item }}"),
        (r"!(?:--|\S*\s).*", "", "{# … #} for a note"),
        (r"#\s*each\s(?P<path>.*?)\sas\s*\|\s*(?P<item>\w+).*", "items", _LOOP),
        (r"#\s*each\b(?P<path>.*)", "items", _LOOP),
        (r"#\s*if\b(?P<path>.*)", "name", "{% if PATH %}"),
        (r"[#^]\s*unless\b(?P<path>.*)", "name", "{% if not PATH %}"),
        (r"#\s*with\b(?P<path>.*)", "object", "{% with ITEM = PATH %}"),
        (r"\^(?P<path>.*)", "name", "{% if not PATH %}"),
        (r"#\s*(?P<path>\S+)", "name", f"{{% if PATH %}} for a condition; for a list {_LOOP}"),
        (r"#.*", "", "{% if name %} or {% for item in items %}: other blocks are not available"),
        (r"/\s*each", "", "{% endfor %}"),
        (r"/\s*(?:if|unless)", "", "{% endif %}"),
        (r"/\s*with", "", "{% endwith %}"),
        (r"/.*", "", "{% endfor %} after a list, {% endif %} after a condition"),
        (r">\s*(?P<item>[\w./-]+).*", "", '{% include "ITEM" %}, with the id of a partial'),
        (r"@.*", "", "{{ loop.index }} for the number of an item, {{ key }} for its name"),
    )
)
"""Patterns of what is in a tag, and what to write, with the path or else a default."""

_STATEMENTS: Final = {
    **STATEMENTS,
    "endcapture": "write {% endset %}",
    "endcase": "write {% endif %}",
    "endcomment": STATEMENTS["comment"],
    "endforeach": "write {% endfor %}",
    "endspaceless": STATEMENTS["spaceless"],
    "endunless": "write {% endif %}",
}
_COLON: Final = re.compile(r"\|\s*\w+\s*:")


def foreign_tags(source: str, path: str, error: Problem) -> list[Problem]:
    """Return the problems of all tags of other engines; none if an error is not of one of them."""
    if "line" not in error:
        return []
    lines = source.split("\n")[: error["line"] - 1]
    place = sum(len(line) + 1 for line in lines) + error["column"] - 1
    found = (islice(tags_of(source), MOST_PROBLEMS + 1) for tags_of in (_handlebars, _liquid))
    every = sorted(chain.from_iterable(found))
    if not any(start <= place < end for start, end, _ in every):
        return []
    return [
        placed(path, "syntax_error", message, source, start)
        for start, _, message in every[: MOST_PROBLEMS + 1]
    ]


def _handlebars(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each tag begins and ends, and what to write."""
    for tag in _TAG.finditer(source):
        inner = (tag[1] or tag[2]).strip()
        for pattern, default, remedy in _RULES:
            if match := pattern.fullmatch(inner):
                groups = match.groupdict()
                path = _PATH.fullmatch((groups.get("path") or "").strip())
                names = ("item" if path[1] else None, path[2]) if path else ()
                written = remedy.replace("PATH", ".".join(filter(None, names)) or default)
                written = written.replace("ITEM", groups.get("item") or "item")
                shown = shortened(tag[0])
                yield *tag.span(), f"'{shown}' is the syntax of Handlebars: write {written}"
                break


def _liquid(source: str) -> Iterator[tuple[int, int, str]]:
    for tag in tags(source):
        if tag.kind is Kind.BLOCK and tag.word in _STATEMENTS:
            message = f"unknown statement {tag.word}: {_STATEMENTS[tag.word]}"
            yield tag.start, tag.end, message
        elif tag.kind is not Kind.COMMENT and _COLON.search(STRING.sub("", tag.inner)):
            yield tag.start, tag.end, COLON
