"""Warnings of a page of HTML: language and direction, texts of images, unsafe links."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tasks.rendering.html.markup import Attribute, Token, attributes, conditional, tokens
from tasks.rendering.html.masks import flat
from tasks.rendering.locale_filters.directions import direction_of
from tasks.rendering.matching.subtags import subtags
from tasks.rendering.warnings.codes import Code, Place, warning

_INSECURE = re.compile(r"http://[^\s\"'<>\x1a\x1b]*", re.IGNORECASE)
_LINKS: Final = frozenset(
    {"action", "background", "data", "formaction", "href", "poster", "src", "srcset"}
)
_LONGEST_SHOWN: Final = 60


def page_warnings(source: str, path: str, language: str = "") -> Iterator[dict[str, Any]]:
    """Yield warnings about the elements of an HTML source, comments for Outlook included.

    ``language`` is the text's, where it is known: a translation may still name the original's.
    """
    mask = flat(source)
    every = list(_tags(mask, outer=True))
    # Some mail clients keep the tag <body>, and not the one around it.
    of_body = [_said(mask, token) for token in every if token.name == "body"]
    for token in every:
        if token.name == "html":
            place = Place(path, source, token.start)
            said = {key: value for each in of_body for key, value in each.items()}
            yield from _of_page(place, said | _said(mask, token), language)
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


def _said(mask: str, token: Token) -> dict[str, str]:
    """Return the attributes of a tag that have a value."""
    return {
        each.name: value
        for each in attributes(mask, token)
        if (value := mask[each.value : each.value_end].strip())
    }


def _of_page(place: Place, said: dict[str, str], language: str) -> Iterator[dict[str, Any]]:
    lang, direction = said.get("lang") or said.get("xml:lang"), said.get("dir")
    if lang is None:
        yield warning(Code.MISSING_LANG, place, "<html> has no lang")
    elif language and lang.isprintable() and not _is_same(lang, language):
        message = f"<html> has lang='{lang[:_LONGEST_SHOWN]}', and this text is in '{language}'"
        yield warning(Code.MISSING_LANG, place, message)
    if direction is None:
        yield warning(Code.MISSING_DIR, place, "<html> has no dir")
    elif language and direction.lower() in {"ltr", "rtl"} - {direction_of(language)}:
        message = f"<html> has dir='{direction}', and '{language}' is written the other way"
        yield warning(Code.MISSING_DIR, place, message)


def _is_same(lang: str, language: str) -> bool:
    both = {subtags(each.replace("_", "-")).language for each in (lang, language)}
    # HTML of Norway mostly says no for what CLDR calls nb.
    return len(both) == 1 or both == {"nb", "no"}


def _of_element(source: str, mask: str, token: Token, path: str) -> Iterator[dict[str, Any]]:
    known = {attribute.name: attribute for attribute in attributes(mask, token)}
    place = Place(path, source, token.start)
    if _shows_an_image(mask, token, known) and "alt" not in known:
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
