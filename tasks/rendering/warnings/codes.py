"""Codes of warnings, each with its remedy."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from tasks.rendering.places import placed


class Code(StrEnum):
    """Codes of warnings."""

    FOREIGN_PLACEHOLDER = "foreign_placeholder"
    QUOTED_MARKUP = "quoted_markup"
    LATE_DEFAULT = "late_default"
    UNUSED_VARIABLE = "unused_variable"
    LARGE_BODY = "large_body"
    MISSING_LANG = "missing_lang"
    MISSING_DIR = "missing_dir"
    MISSING_ALT = "missing_alt"
    INSECURE_LINK = "insecure_link"
    EMPTY_TEXT = "empty_text"
    SMS_CHARACTER = "sms_character"
    LOST_LANGUAGE = "lost_language"
    SCHEDULED_VERSION = "scheduled_version"


REMEDIES: Final[Mapping[Code, str]] = {
    Code.FOREIGN_PLACEHOLDER: (
        "write {{ name }} for a value; in {% raw %}...{% endraw %} the text is meant as it stands"
    ),
    Code.QUOTED_MARKUP: (
        "write tags outside of quotes, as in {% set line %}<br>{% endset %}{{ lines | join(line) "
        "}}, and the character itself for a reference"
    ),
    Code.LATE_DEFAULT: (
        "write it before the filter, as in {{ name | default('there') | upper }}; for an empty "
        "text {{ items | join(', ') or 'none' }}"
    ),
    Code.UNUSED_VARIABLE: "use it in a text, or remove it from the declared variables",
    Code.LARGE_BODY: (
        "shorten the body: Gmail shows the first 102 KB (104,448 bytes) and hides the rest, "
        "unsubscribe links and tracking pixels included"
    ),
    Code.MISSING_LANG: (
        'write the language of the text into the tag, as in <html lang="en">, so that screen '
        "readers pronounce it"
    ),
    Code.MISSING_DIR: 'write dir="ltr" or dir="rtl" into the tag, as in <html lang="ar" dir="rtl">',
    Code.MISSING_ALT: (
        'write alt="..." with what the image says, or alt="" for one that only decorates'
    ),
    Code.INSECURE_LINK: "write https: where the address has it; readers are warned of http:",
    Code.EMPTY_TEXT: "write words into the body, or alt texts for its images",
    Code.SMS_CHARACTER: "shorten the text, or write characters of the GSM-7 alphabet alone",
    Code.LOST_LANGUAGE: "send the translation with the version, or with translation.upsert",
    Code.SCHEDULED_VERSION: "cancel it with version.unschedule if it must not replace this version",
}


class Place(NamedTuple):
    """A place in a source, in characters, or in none."""

    path: str
    source: str = ""
    start: int | None = None


def warning(code: Code, place: Place, message: str) -> dict[str, Any]:
    """Return a warning: code, path, message and remedy, with line and column where known."""
    members: dict[str, Any] = {"code": str(code)}
    members |= placed(place.path, "", message, place.source, place.start)
    del members["type"]
    members.pop("snippet", None)
    return members | {"remedy": REMEDIES[code]}
