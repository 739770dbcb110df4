"""Markdown values: the only values that become markup, of variables declared ``markdown``.

HTML in a value stays text, links lead to http, https and mailto only, and images are links. In an
HTML body a value is first a mark, which stands for its HTML until the page is finished: so no
filter can break the markup, and where a mark has ended up, however it got there, is known.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tasks.rendering.explain import SourceError
from tasks.rendering.html.markup import tokens
from tasks.rendering.paths import ITEM, Path
from tasks.rendering.plain_text import finished, marked_text

_SCHEMES: Final = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
# In mixed case and long, so that a filter that changes case or cuts a text damages it.
_NONCE: Final = f"mD{secrets.token_hex(8)}" + "mD" * 2000
_MARK: Final = re.compile(rf"\x02{_NONCE}([0-9]+)\x03")
_ONE_PARAGRAPH: Final = re.compile(r"<p>((?:(?!<p>).)*)</p>\n", re.DOTALL)


CHANGED: Final = (
    "a filter is applied to a Markdown value, whose markup it would break: print it as it is, or "
    "declare the variable as 'string'"
)
COMPARED: Final = (
    "a Markdown value is compared, but it becomes markup: ask only whether it is there, or declare "
    "the variable as 'string'"
)


class Marked(NamedTuple):
    """Values with marks instead of Markdown, and the HTML that these stand for."""

    values: Mapping[str, Any]
    html: Sequence[str]


def as_marks(values: Mapping[str, Any], paths: Sequence[Path]) -> Marked:
    """Return values for an HTML body, which :func:`filled` then finishes."""
    html: list[str] = []

    def mark(text: str) -> str:
        if not text.strip():
            return ""
        html.append(_html(text))
        return f"\x02{_NONCE}{len(html) - 1}\x03"

    return Marked(_replaced(values, paths, mark), html)


def filled(body: str, html: Sequence[str], source: str) -> str:
    """Return an HTML body with the HTML of its marks.

    Raises
    ------
    SourceError
        A mark is where no markup can, or a filter damaged it; ``source`` is the body's.
    """
    if not html:
        return body
    marks = list(_MARK.finditer(body))
    left = iter(marks)
    mark = next(left, None)
    for token in tokens(body):
        while mark is not None and mark.start() < token.start:
            mark = next(left, None)
        if mark is None:
            break
        if mark.start() < token.end:
            message = (
                "a Markdown value is in a tag, comment, style or script: it becomes markup, "
                "which belongs in the text of a page; declare another variable of type 'string'"
            )
            raise SourceError.syntax("body", "markdown_position", message, source, None)
    page = _MARK.sub(lambda match: html[int(match[1])], body)
    if _NONCE[:18].lower() in page.lower():
        raise SourceError.syntax("body", "markdown_filter", CHANGED, source, None)
    return page


def as_text(values: Mapping[str, Any], paths: Sequence[Path]) -> Mapping[str, Any]:
    """Return values for a text: what a reader would see of their HTML."""
    return _replaced(values, paths, _text)


def as_marked_text(values: Mapping[str, Any], paths: Sequence[Path]) -> Mapping[str, Any]:
    """Return values for a text that :func:`tasks.rendering.plain_text.finished` finishes."""
    return _replaced(values, paths, _marked_text)


def _image(
    _renderer: object, found: Sequence[Token], index: int, _options: object, _env: object
) -> str:
    """Return a link instead of an image: a value must not make readers load anything."""
    token = found[index]
    address = escape(str(token.attrGet("src")))
    return f'<a href="{address}">{escape(token.content or str(token.attrGet("src")))}</a>'


def _renderer() -> MarkdownIt:
    # Line breaks of a text that a person typed are meant as such.
    renderer = MarkdownIt("commonmark", {"html": False, "breaks": True})
    renderer.enable("strikethrough")
    renderer.add_render_rule("image", _image)
    renderer.validateLink = lambda address: _SCHEMES.match(address) is not None  # type: ignore[method-assign, assignment]
    return renderer


_RENDERER: Final = _renderer()


@lru_cache(maxsize=64)
def _html(text: str) -> str:
    html = _RENDERER.render(text)
    # One paragraph is in a sentence too: the author of the template wrote <p> around it.
    match = _ONE_PARAGRAPH.fullmatch(html)
    return match[1] if match else html


@lru_cache(maxsize=64)
def _marked_text(text: str) -> str:
    return marked_text(_html(text))


@lru_cache(maxsize=64)
def _text(text: str) -> str:
    return finished(_marked_text(text))


def _replaced(
    values: Mapping[str, Any], paths: Sequence[Path], change: Callable[[str], str]
) -> Mapping[str, Any]:
    result: Any = values
    for path in paths:
        result = _changed(result, path, change)
    changed: Mapping[str, Any] = result
    return changed


def _changed(node: Any, steps: Path, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy of ``node`` in which the texts at a path are changed."""
    if not steps:
        return change(node) if isinstance(node, str) else node
    step, rest = steps[0], steps[1:]
    if step == ITEM and isinstance(node, list):
        return type(node)(_changed(item, rest, change) for item in node)
    if isinstance(node, dict) and step in node:
        return type(node)({**node, step: _changed(node[step], rest, change)})
    return node
