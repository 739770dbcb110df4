"""Texts as the render process gets them: plain JSON."""

from typing import Final, Literal, TypedDict

RENDER_NAMES: Final = frozenset({"dir", "language"})
"""Names that templates have from the render: the language of the text, and its direction."""

Part = Literal["subject", "body"]


class PartialText(TypedDict):
    """A partial as a text uses it: its source in one language."""

    language: str
    body: str


class Text(TypedDict):
    """The sources of one language.

    ``type`` is the template's, ``language`` that of the sources, and ``partials`` holds every
    partial that they and the partials themselves use, by template_id.
    """

    type: str
    language: str
    subject: str | None
    body: str
    partials: dict[str, PartialText]
