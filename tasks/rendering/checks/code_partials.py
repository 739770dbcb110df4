"""Values that partials and layouts would bring into styles and scripts: pure, no I/O.

There a value is validated by its position, which can be seen only where the style or script is
in the same source as the placeholder.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tasks.rendering.html.contexts import blocks_in_code, includes_in_code
from tasks.rendering.partials import BLOCK, partials_of, uses
from tasks.rendering.places import Fault
from tasks.rendering.tags import Kind, tags

_INCLUDED: Final = (
    "partial '{}' has placeholders, so it cannot be included in a style or a script: put the whole "
    "element into the partial"
)
_FILLED: Final = (
    "block '{}' is in a style, a script or a tag of its layout, so it cannot have "
    "placeholders: put the value into an attribute of an element, or the whole element into a block"
)


def unsafe_includes(source: str, body_of: Callable[[str], str | None]) -> Iterator[Fault]:
    """Yield the includes of an HTML source in styles and scripts whose partials have placeholders.

    ``body_of`` returns the body of a partial, or None where there is none.
    """
    places = includes_in_code(source)
    for use in uses(source) if places else ():
        if use.start in places and use.partial is not None and _prints(use.partial, body_of):
            yield Fault(use.start, _INCLUDED.format(use.partial))


def unsafe_blocks(source: str, layouts: Iterable[str]) -> Iterator[Fault]:
    """Yield the blocks of an HTML source with placeholders that are in code of a layout."""
    in_code = {name for layout in layouts for name in blocks_in_code(layout)}
    open_: list[tuple[str, int]] = []
    reported = set()
    for tag in tags(source) if in_code else ():
        if tag.word == "block" and (match := BLOCK.match(tag.inner)) is not None:
            open_.append((match[1], tag.start))
        elif tag.word == "endblock":
            del open_[-1:]
        elif tag.kind is Kind.PRINT and tag.inner != "super()":
            for name, start in open_:
                if name in in_code and name not in reported:
                    reported.add(name)
                    yield Fault(start, _FILLED.format(name))


def layouts_of(source: str, body_of: Callable[[str], str | None]) -> Iterator[str]:
    """Yield the bodies of the layouts that a source extends, the nearest first.

    ``body_of`` returns the body of a partial, or None where there is none.
    """
    seen: set[str] = set()
    body: str | None = source
    while body is not None:
        name = next((use.partial for use in uses(body) if use.is_layout), None)
        if name is None or name in seen:
            return
        seen.add(name)
        body = body_of(name)
        if body is not None:
            yield body


def _prints(name: str, body_of: Callable[[str], str | None]) -> bool:
    """Return whether a partial, or one that it uses, has a placeholder."""
    seen: set[str] = set()
    left = {name}
    while left:
        seen |= left
        bodies = [body for each in left if (body := body_of(each)) is not None]
        if any(tag.kind is Kind.PRINT for body in bodies for tag in tags(body)):
            return True
        left = partials_of(bodies) - seen
    return False
