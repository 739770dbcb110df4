"""Addresses in HTML that would run a script: pure, no I/O."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tasks.rendering.html.markup import (
    Attribute,
    Token,
    attributes,
    conditional,
    decoded,
    markup,
    pieces,
    printing,
    tokens,
)
from tasks.rendering.html.slashes import with_own_references

# HTML standard, "Attributes" and "Obsolete features": those that hold an address; xlink:href and
# xml:base of SVG; lowsrc and dynsrc of old mail readers.
_FOLLOWED = frozenset(
    {
        *("action", "archive", "cite", "classid", "code", "codebase", "formaction", "href"),
        *("longdesc", "manifest", "ping", "profile", "xlink:href", "xml:base"),
    }
)
# SVG's animations give them to other attributes.
_ANIMATED = frozenset({"by", "from", "to", "values"})
_LOADED = frozenset(
    {"background", "data", "dynsrc", "icon", "imagesrcset", "lowsrc", "poster", "src", "srcset"}
)
# HTML standard, section 4.2.5.3: the address of <meta http-equiv="refresh">. Also taken without
# what a browser insists on.
_REFRESH = re.compile(r"""[\s\d.]*[;,]?\s*(?:url\s*=\s*)?['"]?""", re.IGNORECASE)
_ADDRESSES = _FOLLOWED | _LOADED | _ANIMATED
_LOWER: Final = bytes(range(256)).lower()
# A letter, a colon or what is removed, written as a reference. Only authors can: of the references
# that escaping makes of values none is among them.
_SPELLED = re.compile(
    rb"&(?:(?:colon|newline|tab);"
    rb"|#(?:0*+(?:9|1[03]|58|6[5-9]|[7-9]\d|1[01]\d|12[0-2])(?!\d)"
    rb"|x0*+(?:[9ad]|3a|[4-7][0-9a-f])(?![0-9a-f])))"
)
# Patterns are found in half of the time that the operator "in" takes.
_MAY_BE_DANGEROUS = (*(re.compile(end).search for end in (b"script:", b"data:")), _SPELLED.search)
_INVISIBLE = dict.fromkeys(b"\t\n\r")
_CONTROLS = "".join(map(chr, range(0x21)))
# In these an image may be a drawing that runs scripts.
_EMBEDDING = frozenset({"embed", "frame", "iframe", "object"})
_SCRIPT_SCHEMES = ("javascript:", "vbscript:")


def dangerous_address(html: str, sources: Iterable[str]) -> tuple[str, str] | None:
    """Return where a value put an address that runs a script: element and attribute, or None.

    Dangerous are ``javascript:``, ``vbscript:`` and ``data:`` (except for images that are loaded),
    as a browser reads them (URL standard, section 4.4). An attribute value that is unchanged in
    one of ``sources``, the templates of the page, comes from their author and is allowed.
    """
    raw = html.encode().translate(_LOWER, b"\t\n\r")
    if not any(search(raw) for search in _MAY_BE_DANGEROUS):
        return None
    own = tuple(map(with_own_references, sources))
    for element, attribute in _addresses(html):
        value = html[attribute.value : attribute.value_end]
        if _is_dangerous(element, attribute, value) and not any(value in each for each in own):
            return element, attribute.name
    return None


def place_of_address(source: str, where: tuple[str, str]) -> int | None:
    """Return the place of the first print in the only such attribute of a source, or None."""
    page = markup(*pieces(source))
    places = [
        page.tags[index].start
        for element, attribute in _addresses(page.mask)
        if (element, attribute.name) == where
        for index in list(printing(page, attribute.value, attribute.value_end))[:1]
    ]
    return places[0] if len(places) == 1 else None


def _addresses(html: str) -> Iterator[tuple[str, Attribute]]:
    for token in tokens(html):
        inside = conditional(html, token) if token.sort == "comment" else None
        for tag in tokens(html, *inside) if inside is not None else (token,):
            if tag.sort == "start":
                for attribute in attributes(html, tag):
                    if attribute.name in _ADDRESSES or _leads_on(html, tag, attribute):
                        yield tag.name, attribute


def _leads_on(html: str, tag: Token, attribute: Attribute) -> bool:
    """Return whether an attribute has an address by what else its element has."""
    if attribute.name == "value":
        return tag.name == "param"
    return (
        attribute.name == "content"
        and tag.name == "meta"
        and any(
            other.name == "http-equiv"
            and decoded(html[other.value : other.value_end]).strip().lower() == "refresh"
            for other in attributes(html, tag)
        )
    )


def _is_dangerous(element: str, attribute: Attribute, value: str) -> bool:
    address = decoded(value).translate(_INVISIBLE).lower()
    # Some hold several: srcset between commas and spaces, values between semicolons.
    if attribute.name == "content":
        address = _REFRESH.sub("", address, count=1)
    between = {"srcset": r"[\s,]", "imagesrcset": r"[\s,]", "values": ";"}.get(attribute.name)
    each = (address,) if between is None else re.split(between, address)
    for candidate in each:
        scheme = candidate.lstrip(_CONTROLS)
        if scheme.startswith(_SCRIPT_SCHEMES):
            return True
        is_loaded = attribute.name in _LOADED and element not in _EMBEDDING
        if scheme.startswith("data:") and not (is_loaded and scheme.startswith("data:image/")):
            return True
    return False
