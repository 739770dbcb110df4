"""Texts as the render process gets them: plain JSON."""

from typing import Literal, NotRequired, TypedDict

from tasks.rendering.variables import Schema

Part = Literal["subject", "body"]


class PartialText(TypedDict):
    """A partial as a text uses it: its source in one language."""

    language: str
    body: str


class Text(TypedDict):
    """The sources of one language.

    ``type`` is the template's, ``language`` that of the sources, and ``partials`` holds every
    partial that they and the partials themselves use, by template_id.
    ``optional`` names the variables that may be left out and have no default,
    ``decimals`` those of type ``decimal``.
    """

    type: str
    language: str
    subject: str | None
    body: str
    partials: dict[str, PartialText]
    optional: NotRequired[list[str]]
    decimals: NotRequired[list[str]]


def declaring(text: Text, schema: Schema) -> Text:
    """Return a text with what the render process must know of its variables."""
    if schema.decimals:
        text["decimals"] = schema.decimals
    if schema.optional:
        text["optional"] = schema.optional
    return text
