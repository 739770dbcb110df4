"""What a page of HTML lacks: language and direction, texts of images, safe links."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tasks.rendering.markup import Attribute, Token, attributes, conditional, tokens
from tasks.rendering.masks import flat
from tasks.rendering.warnings.codes import Code, Place, warning

_INSECURE = re.compile(r"http://[^\s\"'<>\x1a\x1b]*", re.IGNORECASE)
_LINKS: Final = frozenset(
    {"action", "background", "data", "formaction", "href", "poster", "src", "srcset"}
)
_LONGEST_SHOWN: Final = 60


def page_warnings(source: str, path: str) -> Iterator[dict[str, Any]]:
    """Yield warnings about the elements of an HTML source, comments for Outlook included."""
    mask = flat(source)
    for token in _tags(mask, outer=True):
        yield from _of_element(source, mask, token, path)


def insecure_links(source: str, path: str) -> Iterator[dict[str, Any]]:
    """Yield warnings about the links in a source of text."""
    for match in _INSECURE.finditer(flat(source)):
        yield _insecure(Place(path, source, match.start()), match[0])


def insecure_values(output: str, source: str, path: str, *, html: bool) -> Iterator[dict[str, Any]]:
    """Yield warnings about the links of a rendered text that its source does not have."""
    warned = page_warnings(output, path) if html else insecure_links(output, path)
    seen = set()
    for each in warned:
        own = _INSECURE.search(each["message"]) if each["code"] == Code.INSECURE_LINK else None
        if own is not None and own[0] not in seen and own[0] not in source:
            seen.add(own[0])
            yield warning(Code.INSECURE_LINK, Place(path), each["message"])


def _tags(mask: str, start: int = 0, end: int | None = None, *, outer: bool) -> Iterator[Token]:
    for token in tokens(mask, start, end):
        if token.sort == "start":
            yield token
        elif token.sort == "comment" and outer:
            inside = conditional(mask, token)
            if inside is not None:
                yield from _tags(mask, *inside, outer=False)


def _of_element(source: str, mask: str, token: Token, path: str) -> Iterator[dict[str, Any]]:
    known = {attribute.name: attribute for attribute in attributes(mask, token)}
    place = Place(path, source, token.start)
    if token.name == "html":
        said = {name for name, each in known.items() if mask[each.value : each.value_end].strip()}
        if not said & {"lang", "xml:lang"}:
            yield warning(Code.MISSING_LANG, place, "<html> has no lang")
        if "dir" not in said:
            yield warning(Code.MISSING_DIR, place, "<html> has no dir")
    elif _shows_an_image(mask, token, known) and "alt" not in known:
        yield warning(Code.MISSING_ALT, place, f"<{token.name}> has no alt")
    for name in sorted(known.keys() & _LINKS):
        match = _INSECURE.search(mask, known[name].value, known[name].value_end)
        if match is not None:
            yield _insecure(Place(path, source, match.start()), match[0])


def _shows_an_image(mask: str, token: Token, known: dict[str, Attribute]) -> bool:
    kind = known.get("type")
    return token.name == "img" or (
        token.name == "input"
        and kind is not None
        and mask[kind.value : kind.value_end].lower() == "image"
    )


def _insecure(place: Place, link: str) -> dict[str, Any]:
    return warning(
        Code.INSECURE_LINK, place, f"'{link[:_LONGEST_SHOWN]}' is sent without encryption"
    )
