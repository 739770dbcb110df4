"""Texts as the render process gets them: plain JSON."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, NotRequired, Protocol, Self, TypedDict

from tasks.rendering.variables import Schema

Part = Literal["subject", "body", "text", "preheader"]
PARTS: tuple[Part, ...] = ("subject", "body", "text", "preheader")


class _HasSources(Protocol):
    """A message or a row with the sources of one language."""

    @property
    def subject(self) -> str | None: ...
    @property
    def body(self) -> str: ...
    @property
    def text(self) -> str | None: ...
    @property
    def preheader(self) -> str | None: ...


class Sources(NamedTuple):
    """The sources of one language, by part.

    A translation without a ``subject`` has the version's; a null ``text`` is derived from the body.
    """

    subject: str | None
    body: str
    text: str | None = None
    preheader: str | None = None

    @classmethod
    def of(cls, row: _HasSources) -> Self:
        """Return the sources of a message or a row."""
        return cls(row.subject, row.body, row.text, row.preheader)

    def given(self) -> list[str]:
        """Return the sources that there are."""
        return [source for source in self if source is not None]


class PartialText(TypedDict):
    """A partial as a text uses it: its source in one language."""

    language: str
    body: str


class Text(TypedDict):
    """The sources of one language.

    ``type`` is the template's, ``language`` the sources', and ``partials`` holds every
    partial that they and the partials themselves use, by template_id. ``text`` is the author's own
    text part. ``optional`` names the variables that may be left out and have no default,
    ``decimals`` the variables of type ``decimal``, ``markdown`` the variables of that type.
    """

    type: str
    language: str
    subject: str | None
    body: str
    partials: dict[str, PartialText]
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    optional: NotRequired[Sequence[str]]
    decimals: NotRequired[Sequence[str]]
    markdown: NotRequired[Sequence[str]]


def text_of(kind: str, language: str, sources: Sources, partials: dict[str, PartialText]) -> Text:
    """Return a text, without the members that it does not need."""
    text = Text(
        type=kind,
        language=language,
        subject=sources.subject,
        body=sources.body,
        partials=partials,
    )
    if sources.text is not None:
        text["text"] = sources.text
    if sources.preheader is not None:
        text["preheader"] = sources.preheader
    return text


def declaring(text: Text, schema: Schema) -> Text:
    """Return a text with the facts about its variables that the render process needs."""
    text = text.copy()
    if schema.decimals:
        text["decimals"] = schema.decimals
    if schema.optional:
        text["optional"] = schema.optional
    if schema.markdown:
        text["markdown"] = schema.markdown
    return text
