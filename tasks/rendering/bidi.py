"""Values in text that is written from right to left (Unicode Standard Annex 9): pure, no I/O.

Latin names and signed numbers in Arabic or Hebrew text take their neighbours with them: "Ada,
Grace" reads from the left, "+966 50" ends with its sign. So the prints of such a text are isolated,
by the characters FSI and PDI, which all outputs can hold. Not where they would become part of
something else: in attributes, styles and addresses.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from minijinja import safe

from tasks.rendering.html.markup import markup, pieces, tokens
from tasks.rendering.locale_filters.errors import InputError
from tasks.rendering.numbers import Exact
from tasks.rendering.outputs import BIDI_CONTROLS, ISOLATES
from tasks.rendering.tags import Kind, Tag, blanked, tags

ISOLATED: Final = "_isolated"
"""The filter that prints get, at their end."""

LISTED: Final = "_listed"
"""The filter ``list`` whose items are isolated one by one."""

_FSI, _PDI = ISOLATES[2], ISOLATES[3]
_CONTROL: Final = re.compile(f"[{BIDI_CONTROLS}]")

_MOVED: Final = frozenset({"L", "EN", "AN", "ES", "ET"})
"""Bidirectional classes of characters whose place depends on their neighbours."""

_ENDS_IN_ADDRESS: Final = re.compile(r"(?:://|\bwww\.|@)\S*\Z")
"""Programs that find addresses in text would take a PDI after one for a part of it."""

_BEFORE_IN_ADDRESS: Final = re.compile(r"(?:(?:://|\bwww\.|@)[^\s<>]*|[/=?&#%_@])\Z")
_BEHIND_IN_ADDRESS: Final = re.compile(r"[/=?&#%_@]|\.[A-Za-z]")
_ADDRESS: Final = re.compile(r"://|\bwww\.|@|\b(?:mailto|tel|sms):|\w\.[\w-]+/")
_OUTSIDE_ADDRESSES: Final = re.compile(r"[\s<>\"\x00-\x1f]")
_LONGEST_ADDRESS: Final = 2048
_VARIABLE: Final = r"(?!(?:if|else|and|or|not|in|is)\b)[A-Za-z_]\w*(?:\.\w+|\[\d+\])*"
_OPERAND: Final = re.compile(
    rf"(?<=~)\s*{_VARIABLE}(?=\s*(?:[~,)]|\Z))|(?<![\w.|\]]){_VARIABLE}(?=\s*~)"
)
"""A variable next to ``~``, without filters."""

_JOINED: Final = re.compile(rf"\s*(?:{_VARIABLE}\s*)?(?:~\s*(?:{_VARIABLE}\s*)?)+")
"""Variables and texts, which are blank, with ``~`` between them."""

_LAST_FILTER: Final = re.compile(r"\|\s*(list|plural)\s*(?:\([^|]*)?\Z")
_OF_THE_ENGINE: Final = re.compile(r"\b(?:super|caller|loop)\s*\(|\bself\b")
_CAPTURE: Final = re.compile(r"set\s+[\w.]+\s*(?:\||\Z)")


def isolate(text: str) -> str:
    """Return a text isolated from the direction of its neighbours."""
    if text.isdigit() or not any(unicodedata.bidirectional(each) in _MOVED for each in text):
        return text
    if _ENDS_IN_ADDRESS.search(text):
        return text
    # What ends or begins an isolate of its own would undo this one.
    return f"{_FSI}{_CONTROL.sub('', text)}{_PDI}"


def isolated(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    """Return a value to be printed, isolated if it is text or a negative number.

    Raises
    ------
    InputError
        The value is undefined; the print itself reports more.
    """
    if value is None:
        raise InputError("a value is missing")
    kind = type(value)
    if kind is str:
        # What begins with a control is the mark of Markdown, which may be of many paragraphs.
        return value if value.startswith("\x02") else isolate(value)
    if hasattr(value, "__html__"):
        # It is escaped, and the prints in markup are isolated where they are.
        return value if "<" in value else safe(isolate(str(value)))
    is_negative = value.number < 0 if kind is Exact else kind in {int, float} and value < 0
    return f"{_FSI}{value}{_PDI}" if is_negative else value


def with_whole_addresses(text: str) -> str:
    """Return an output without isolates within its addresses, and next to them.

    Where a print is part of an address only the output shows: tags may be between them, and the
    beginning may be a value.
    """
    if _FSI not in text:
        return text
    first, *others = text.split(_FSI)
    parts, before = [first], first[-_LONGEST_ADDRESS:]
    for other in others:
        inner, end, behind = other.partition(_PDI)
        word = _OUTSIDE_ADDRESSES.split(before)[-1]
        begins = not _OUTSIDE_ADDRESSES.search(inner) and _BEHIND_IN_ADDRESS.match(behind)
        is_address = end and (begins or _ADDRESS.search(word))
        parts.append(inner + behind if is_address else _FSI + other)
        before = (before + parts[-1])[-_LONGEST_ADDRESS:]
    return "".join(parts)


def items_isolated(value: object) -> object:
    """Return the value of ``list`` with its texts isolated."""
    if isinstance(value, list | tuple):
        return [isolate(item) if isinstance(item, str) else item for item in value]
    return value


@lru_cache(maxsize=64)
def with_isolates(source: str, *, html: bool) -> str:
    """Return a source whose prints isolate what they print."""
    if "{{" not in source:
        return source
    parts: list[str] = []
    last = 0
    for tag in _in_html(source) if html else _in_text(source):
        start, end = tag.start + 2, tag.end - 2
        start += source[start] in "-+"
        end -= source[end - 1] in "-+"
        parts += [source[last:start], _isolating(tag.inner)]
        last = end
    return "".join([*parts, source[last:]])


def without_controls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value whose texts have no bidi controls; the same one if they have none."""
    if isinstance(value, str):
        return _CONTROL.sub("", value) if _CONTROL.search(value) else value
    if isinstance(value, dict):
        cleaned = {key: without_controls(item) for key, item in value.items()}
        is_same = all(cleaned[key] is item for key, item in value.items())
        return value if is_same else type(value)(cleaned)
    if isinstance(value, list):
        items = [without_controls(item) for item in value]
        is_same = all(one is other for one, other in zip(items, value, strict=True))
        return value if is_same else type(value)(items)
    return value


def _isolating(inner: str) -> str:
    bare = blanked(inner)
    last = _LAST_FILTER.search(bare)
    if last is None:
        is_sentence = _JOINED.fullmatch(bare) is not None and any(map(_is_of_right, inner))
        return f" {_with_operands(inner, bare)} " if is_sentence else f" ({inner})|{ISOLATED} "
    if last[1] == "plural":  # its forms are text of the author's
        return f" {_with_operands(inner, bare)} "
    return f" {inner[: last.start(1)]}{LISTED}{inner[last.end(1) :]} "


def _is_of_right(character: str) -> bool:
    return unicodedata.bidirectional(character) in {"R", "AL"}


def _with_operands(inner: str, bare: str) -> str:
    """Return an expression that joins text of the author's and values, with these isolated."""
    parts: list[str] = []
    last = 0
    for match in _OPERAND.finditer(bare):
        parts += [inner[last : match.start()], f"({match[0]}|{ISOLATED})"]
        last = match.end()
    return "".join([*parts, inner[last:]])


def _in_text(source: str) -> Iterator[Tag]:
    """Yield the prints of a source of text that are to be isolated."""
    captures: list[str] = []
    previous: Tag | None = None
    was_address = False
    for tag in tags(source):
        if tag.kind is Kind.PRINT:
            before = source[previous.end if previous else 0 : tag.start]
            touches = previous is not None and previous.kind is Kind.PRINT and not before
            is_address = (touches and was_address) or _is_in_address(before, source[tag.end :])
            if not captures and not is_address and _is_value(tag):
                yield tag
            was_address = is_address
        elif tag.kind is Kind.BLOCK:
            _follow(tag, captures)
        previous = tag


def _in_html(source: str) -> Iterator[Tag]:
    """Yield the prints that are in the text of an HTML source and are to be isolated."""
    texts, template_tags = pieces(source)
    page = markup(texts, template_tags)
    inside = [(token.start, token.end) for token in tokens(page.mask)]
    position = 0
    captures: list[str] = []
    with_markup: list[bool] = []
    was_address = False
    for index, tag in enumerate(template_tags):
        place = page.places[index]
        while position < len(inside) and inside[position][1] <= place:
            position += 1
        if tag.kind is not Kind.PRINT:
            depth = len(captures)
            _follow(tag, captures)
            if len(captures) > depth:
                with_markup.append(_has_markup(texts, template_tags, index, captures[-1]))
            elif len(captures) < depth:
                with_markup.pop()
            continue
        before, behind = texts[index], texts[index + 1]
        touches = index > 0 and template_tags[index - 1].kind is Kind.PRINT and not before
        is_address = (touches and was_address) or _is_in_address(before, behind)
        was_address = is_address
        is_text = position == len(inside) or inside[position][0] > place
        if is_text and all(with_markup) and not is_address and _is_value(tag):
            yield tag


def _follow(tag: Tag, captures: list[str]) -> None:
    """Record that a macro or a capture begins or ends: its contents are printed elsewhere."""
    if captures and tag.word == captures[-1]:
        captures.pop()
    elif tag.word in {"macro", "call", "filter"} or (
        tag.word == "set" and _CAPTURE.match(tag.inner)
    ):
        captures.append(f"end{tag.word}")


def _has_markup(texts: list[str], template_tags: list[Tag], index: int, end: str) -> bool:
    for following in range(index + 1, len(template_tags)):
        if "<" in texts[following]:
            return True
        if template_tags[following].word == end:
            break
    return False


def _is_in_address(before: str, behind: str) -> bool:
    return bool(_BEFORE_IN_ADDRESS.search(before) or _BEHIND_IN_ADDRESS.match(behind))


def _is_value(tag: Tag) -> bool:
    """Return whether a print may print a value, which is always there."""
    bare = blanked(tag.inner)
    if not bare.strip() or _OF_THE_ENGINE.search(bare):
        return False
    words = set(re.findall(r"\w+", bare))
    return "if" not in words or "else" in words
