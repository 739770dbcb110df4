"""Names of the files in the folder of a template."""

from typing import Final

from tasks.rendering.texts import Part

HEADER: Final = "template.toml"
TRANSLATIONS: Final = "translations"
SAMPLES: Final = "samples"
STATE: Final = ".template-service"
"""Hidden, as all that the reader ignores."""

NOTES: Final = frozenset({"README.md"})
"""Files that a folder of a template may have next to its own."""

PART_FILES: Final[dict[Part, str]] = {
    "subject": "subject.txt",
    "preheader": "preheader.txt",
    "text": "text.txt",
}
BODIES: Final = {
    "email": "body.html",
    "in_app": "body.html",
    "partial": "body.html",
    "sms": "body.txt",
    "push": "body.txt",
    "json": "body.json",
}
"""The file of the body, by type."""

MJML_BODY: Final = "body.mjml"
EVERY_BODY: Final = frozenset({*BODIES.values(), MJML_BODY})
SOURCE_FILES: Final = frozenset({*PART_FILES.values(), *EVERY_BODY})
SAMPLE_SUFFIX: Final = ".json"


def body_file(template_type: str, *, is_mjml: bool = False) -> str:
    """Return the name of the file of the body of a template of a type."""
    return MJML_BODY if is_mjml else BODIES[template_type]


def without_last_line_break(name: str, text: str) -> str:
    """Return the contents of a file.

    Editors end a file with a line break, and in a subject or an SMS it would be sent and charged:
    of a file ``.txt`` the last one is not part of the text.
    """
    if not name.endswith(".txt"):
        return text
    if text.endswith("\r\n"):
        return text[:-2]
    return text.removesuffix("\n")


def with_last_line_break(name: str, text: str) -> str:
    """Return the contents of a file that says ``text``: the inverse of the above."""
    if not name.endswith(".txt"):
        return text
    return f"{text}\r\n" if text.endswith("\r") else f"{text}\n"
