"""Attributes and style rules that apply in every render, or only in some: pure, no I/O."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from tasks.rendering.html.markup import BLOCK, PRINT, Markup, Token, attributes
from tasks.rendering.plain_text.selectors import Selector
from tasks.rendering.plain_text.styles import StyleSheet, may_change_text
from tasks.rendering.tags import Tag

OPENING: Final = frozenset({"block", "call", "filter", "for", "if", "with"})
_DECLARATION_WITH_PRINT: Final = re.compile(rf"[^{{}};{PRINT}]*{PRINT}[^{{}};]*")


class Given(NamedTuple):
    """The attributes of an element: equal in every render, and ``differing`` between renders."""

    values: dict[str, str]
    differing: dict[str, str]

    def may_change_text(self, sheet: StyleSheet) -> bool:
        """Return whether differing attributes may hide the element, or show it."""
        if not self.differing:
            return False
        css = self.differing.get("style")
        if css is not None and may_change_text(css, f"{self.values.get('style', '')};{css}"):
            return True
        return "hidden" in self.differing or any(
            _may_match(selector, self.differing) for selector in sheet.selects
        )


def given(source: Markup, token: Token, index: int) -> Given:
    """Return the attributes of a start tag, whose first tag of the engine is at ``index``."""
    values: dict[str, str] = {}
    differing: dict[str, str] = {}
    blocks = 0
    for attribute in attributes(source.mask, token):
        while source.places[index : index + 1] and source.places[index] < attribute.start:
            blocks += _step(source.tags[index])
            index += 1
        name, value = attribute.name, source.mask[attribute.value : attribute.value_end]
        if blocks:
            # An attribute within a block is there in some renders only.
            differing[name] = f"{differing.get(name, '')} {value}"
            continue
        if BLOCK in value:
            value, some = _split(source, attribute.value, attribute.value_end)
            differing[name] = some
            if name != "style":
                continue
        elif PRINT in value:
            parts = value.split(";") if name == "style" else [value]
            differing[name] = ";".join(part for part in parts if PRINT in part)
        values.setdefault(name, value)
    return Given(values, differing)


def read_sheet(sheet: StyleSheet, source: Markup, token: Token) -> bool:
    """Read a style sheet; return whether each render has the same rules on what a text shows."""
    css = source.mask[token.start : token.end]
    if PRINT not in css and BLOCK not in css:
        sheet.read(css)
        return True
    always, _ = _split(source, token.start, token.end)
    before = len(sheet.selects)
    sheet.read(always)
    complete = StyleSheet()
    complete.read(css.replace(BLOCK, " "))
    return len(complete.selects) == len(sheet.selects) - before and not any(
        may_change_text(declaration, css) for declaration in _DECLARATION_WITH_PRINT.findall(css)
    )


def may_select(selectors: Sequence[Selector], text: str) -> bool:
    """Return whether the elements of a template may be ones that selectors select."""
    for each in selectors:
        last = each.compounds[-1]
        if last.names:
            if all(name[1:] in text for name in last.names):
                return True
        elif not last.tag or f"<{last.tag}" in text.lower():
            return True
    return False


def _split(source: Markup, start: int, end: int) -> tuple[str, str]:
    """Return what a part of the mask has in every render, and what it has in some.

    A declaration that differs has its name in both.
    """
    mask, always, some = source.mask, [""], [""]
    depth, last = 0, start
    for index in range(bisect_left(source.places, start), bisect_left(source.places, end)):
        place, tag = source.places[index], source.tags[index]
        if mask[place] != BLOCK:
            continue
        (some if depth else always).append(mask[last:place])
        step = _step(tag)
        if step > 0 and not depth:
            some.append(";" + re.split("[;{}]", "".join(always))[-1])
        depth += step
        last = place + 1
    (some if depth else always).append(mask[last:end])
    return "".join(always), " ".join(some)


def _step(tag: Tag) -> int:
    return (tag.word in OPENING) - (tag.word[3:] in OPENING)


def _may_match(selector: Selector, differing: dict[str, str]) -> bool:
    """Return whether a selector asks for a differing attribute."""
    for compound in selector.compounds:
        if any(condition.name in differing for condition in compound.conditions):
            return True
        for sign, attribute in ((".", "class"), ("#", "id")):
            for word in differing.get(attribute, "").replace(BLOCK, " ").split():
                prefix, has_print, _ = f"{sign}{word}".partition(PRINT)
                if any(
                    name.startswith(prefix) if has_print else name == prefix
                    for name in compound.names
                ):
                    return True
    return False
