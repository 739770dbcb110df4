"""Bodies that are written in another format than the one they are rendered in.

They are compiled before the publish gate, which sees what will be rendered; what it finds there is
reported where it is in the source.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from tasks.errors import Problem, RenderLimitExceeded, ServiceError, TemplateSyntax
from tasks.rendering.client import Renderer
from tasks.rendering.limits import Limits
from tasks.rendering.places import placed, source_place
from tasks.rendering.texts import Sources

P = TypeVar("P", Problem, dict[str, Any])
_TEXT: Final = re.compile(r"""([^\s"'<>]{4,})""")
_ADDRESS: Final = re.compile(r"""<[a-z][^<>]*?\s(?:src|href)="([^"<>]{4,})\"""")
_MJML: Final = re.compile(r"\ufeff?\s*(<mjml\b)", re.IGNORECASE)
_IS_MJML: Final = (
    "readers would be sent MJML: publish it with format 'mjml'; in a folder its file is body.mjml"
)
_PLACE: Final = frozenset({"line", "column", "snippet"})


@dataclass(frozen=True, slots=True)
class _Body:
    source: str
    html: str
    spans: list[tuple[int, int, int]]

    def place(self, offset: int) -> int | None:
        """Return the offset in the source of an offset in the HTML, None where it is unknown."""
        is_tag = any(start <= offset < end for start, end, _ in self.spans)
        return (None if is_tag else self._same_text(offset)) or source_place(self.spans, offset)

    def _same_text(self, offset: int) -> int | None:
        """Return where the source has the text at an offset, or the address of an element there."""
        is_element = self.html.startswith("<", offset)
        match = (_ADDRESS if is_element else _TEXT).match(self.html, offset)
        if match is None:
            return None
        text = match[1]
        before = self.html.count(text, 0, match.start(1))
        places = [each.start() for each in re.finditer(re.escape(text), self.source)]
        if not places:
            return None
        place = places[min(before, len(places) - 1)]
        return self.source.rfind("<", 0, place) if is_element else place


@dataclass(frozen=True, slots=True)
class Formatted:
    """The texts to render, by the prefix of their paths in the message.

    The prefix is empty for a version's own text, else ``translations.fr.``.
    """

    texts: Mapping[str, Sources]
    bodies: Mapping[str, _Body] = field(default_factory=dict)

    @contextmanager
    def places(self) -> Iterator[None]:
        """Have errors name places of the sources as they were sent."""
        try:
            yield
        except ServiceError as error:
            if not self.bodies:
                raise
            raise type(error).of(error.message, self.placed(error.details)) from None

    def placed(self, problems: Sequence[P]) -> list[P]:
        """Return problems, or warnings, of bodies with places of their sources."""
        every = [self._placed(each) for each in problems]
        # What is written once may be in the HTML more than once, such as for Outlook.
        return [each for index, each in enumerate(every) if each not in every[:index]]

    def _placed(self, problem: P) -> P:
        body = self.bodies.get(problem["path"])
        if body is None or "line" not in problem:
            return problem
        lines = body.html.split("\n")
        offset = sum(len(line) + 1 for line in lines[: problem["line"] - 1])
        place = body.place(offset + problem["column"] - 1)
        given = {key: value for key, value in problem.items() if key not in _PLACE}
        where = placed("", "", "", body.source, place)
        shown = {key: value for key, value in where.items() if key in _PLACE & problem.keys()}
        return cast("P", {**given, **shown})


def formatted(
    source_format: str | None, texts: Mapping[str, Sources], renderer: Renderer, limits: Limits
) -> Formatted:
    """Return the texts to render.

    Raises
    ------
    TemplateSyntax
        Bodies do not compile, or are MJML by another format; with the problems of all.
    RenderLimitExceeded
        A body takes too long, or gives too much HTML.
    """
    if source_format is None:
        found = [
            placed(f"{prefix}body", "mjml", _IS_MJML, text.body, match.start(1))
            for prefix, text in texts.items()
            if (match := _MJML.match(text.body))
        ]
        if found:
            raise TemplateSyntax.of(_IS_MJML, found)
        return Formatted(texts)
    sources = [{"path": f"{prefix}body", "source": text.body} for prefix, text in texts.items()]
    deadline = renderer.clock() + limits.trial_seconds
    compiled, problems = renderer.compile_mjml(sources, deadline)
    if problems:
        raise TemplateSyntax.of("the MJML does not compile", problems)
    for source, (html, _) in zip(sources, compiled, strict=True):
        if (size := len(html.encode())) > limits.output_bytes:
            message = f"the HTML of the MJML is {size} bytes, the limit is {limits.output_bytes}"
            raise RenderLimitExceeded.at(source["path"], "limit", message)
    bodies = {
        source["path"]: _Body(source["source"], html, [(a, b, c) for a, b, c in spans])
        for source, (html, spans) in zip(sources, compiled, strict=True)
    }
    return Formatted(
        {
            prefix: text._replace(body=bodies[f"{prefix}body"].html)
            for prefix, text in texts.items()
        },
        bodies,
    )
