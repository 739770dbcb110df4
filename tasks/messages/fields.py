"""The field types that messages share: ids, names, languages, sources."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import langcodes
from langcodes.tag_parser import LanguageTagError
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from tasks.messages.described import NO_NUL, described, source
from tasks.rendering.limits import Limits
from tasks.rendering.outputs import BIDI_CONTROLS

TEMPLATE_ID = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,254}\Z")
VERSION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,49}\Z")
STORED_LANGUAGE_LENGTH = 10
REQUESTED_LANGUAGE_LENGTH = 255
"""More than any reader's settings write: extensions and private subtags may follow a language."""

STEPS = "steps"
"""Name in the context of an error of pydantic: the steps from the member to the place in it."""

_UNPRINTABLE = re.compile(f"[\x00-\x1f\x7f\x85\u2028\u2029{BIDI_CONTROLS}]")

TemplateType = Literal["email", "in_app", "sms", "push", "partial", "json"]
VariableType = Literal[
    "string",
    "integer",
    "number",
    "decimal",
    "boolean",
    "date",
    "datetime",
    "url",
    "email",
    "array",
    "object",
    "any",
    "markdown",
]
SourceFormat = Literal["mjml"]
Fallback = Literal["closest", "strict", "default"]


def canonical_language(text: str, longest: int = STORED_LANGUAGE_LENGTH) -> str:
    """Return the canonical form of a BCP 47 language tag: ``en_us`` gives ``en-US``.

    Raises
    ------
    ValueError
        The tag is malformed, unknown to the IANA registry, or longer than ``longest``.
    """
    canonical = _canonical(text[: REQUESTED_LANGUAGE_LENGTH + 1])
    if canonical is None or len(canonical) > longest:
        raise ValueError(f"expected a BCP 47 language tag of at most {longest} characters")
    return canonical


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str | None:
    if len(text) > REQUESTED_LANGUAGE_LENGTH:
        return None
    try:
        tag: str = langcodes.standardize_tag(text.replace("_", "-"))
        # The canonical form has no extended language subtag (RFC 5646, section 4.5), and langcodes
        # takes any three letters for one, an ISO 3166 alpha-3 country too.
        known = langcodes.tag_is_valid(tag) and not langcodes.Language.get(tag).extlangs
    except LanguageTagError:
        return None
    return tag if known and not tag.startswith("und") else None


def _template_id(text: str) -> str:
    if TEMPLATE_ID.match(text) is None:
        raise PydanticCustomError(
            "template_id",
            "expected 1 to 255 characters: lower-case letters, digits, '_', '.', '-', "
            "the first a letter or digit",
        )
    return text


def _version(text: str) -> str:
    if VERSION.match(text) is None:
        raise PydanticCustomError(
            "version",
            "expected 1 to 50 characters: letters, digits, '_', '.', '+', '-', "
            "the first a letter or digit",
        )
    return text


def _expected_version(value: object) -> str | int | None:
    if value is None or (type(value) is int and value == 0):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError(
            "expected_version",
            "expected the name of a version as text, or the number 0 for no current version",
        )
    return _version(value)


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise PydanticCustomError(
            "moment", "expected date, time and offset, such as '2026-12-24T09:00:00+01:00'"
        )
    return value.astimezone(UTC)


def _language(text: str, longest: int) -> str:
    try:
        return canonical_language(text, longest)
    except ValueError as error:
        raise PydanticCustomError(
            "language_code", "{problem}, such as 'de' or 'pt-BR'", {"problem": str(error)}
        ) from None


def _one_line(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise PydanticCustomError(
            "one_line", "expected one line without control characters and bidi controls"
        )
    return text


def without_nul(text: str) -> str:
    """Raise ``nul`` if ``text`` contains U+0000, which PostgreSQL's text and jsonb cannot store."""
    if "\x00" in text:
        raise _nul()
    return text


def json_without_nul(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Raise ``nul`` if a text or key anywhere in ``value`` contains U+0000."""
    stack: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while stack:
        item, steps = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise _nul(steps)
        elif isinstance(item, Mapping):
            stack += [(key, steps) for key in item]
            stack += [(child, (*steps, key)) for key, child in item.items()]
        elif isinstance(item, list):
            stack += [(child, (*steps, index)) for index, child in enumerate(item)]
    return value


def _nul(steps: tuple[str | int, ...] = ()) -> PydanticCustomError:
    return PydanticCustomError("nul", "expected text without U+0000", {STEPS: steps})


def limits_of(info: ValidationInfo) -> Limits:
    """Return the limits that :func:`tasks.messages.base.parse` was given, else the defaults."""
    return info.context if isinstance(info.context, Limits) else Limits()


def within(size: int, limit: int, what: str) -> None:
    """Raise ``too_large`` naming the limit and the size, both in bytes, when it is exceeded."""
    if size > limit:
        raise PydanticCustomError(
            "too_large",
            "{what} is {size} bytes, the limit is {limit}",
            {"what": what, "size": size, "limit": limit},
        )


def too_many(size: int, limit: int, what: str) -> None:
    """Raise ``too_large`` naming the limit and the size, both counts, when it is exceeded."""
    if size > limit:
        raise PydanticCustomError(
            "too_large",
            "{size} {what} were given, the limit is {limit}",
            {"what": what, "size": size, "limit": limit},
        )


def _body(text: str, info: ValidationInfo) -> str:
    within(len(text.encode()), limits_of(info).body_bytes, "the source of a body")
    return without_nul(text)


def _subject(text: str, info: ValidationInfo) -> str:
    within(len(text.encode()), limits_of(info).subject_bytes, "the source of a subject")
    return without_nul(text)


def _own_text(text: str, info: ValidationInfo) -> str:
    within(len(text.encode()), limits_of(info).body_bytes, "the source of a text part")
    return without_nul(text)


def _preheader(text: str, info: ValidationInfo) -> str:
    within(len(text.encode()), limits_of(info).subject_bytes, "the source of a preheader")
    return without_nul(text)


ONE_LINE = described(
    pattern="^[^\\u0000-\\u001f\\u007f\\u0085\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e"
    "\\u2066-\\u2069]*$"
)
LANGUAGE = described(minLength=2, maxLength=REQUESTED_LANGUAGE_LENGTH, examples=["de", "pt-BR"])
TemplateId = Annotated[
    str, AfterValidator(_template_id), described(pattern="^[a-z0-9][a-z0-9_.-]{0,254}$")
]
VersionName = Annotated[
    str, AfterValidator(_version), described(pattern="^[A-Za-z0-9][A-Za-z0-9_.+-]{0,49}$")
]
ExpectedVersion = Annotated[
    str | int | None,
    PlainValidator(_expected_version, json_schema_input_type=VersionName | Literal[0] | None),
]
"""A condition of a write: the name of the current version, 0 for none, None for no condition."""

Moment = Annotated[datetime, BeforeValidator(_moment)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LanguageCode = Annotated[
    str, AfterValidator(lambda text: _language(text, STORED_LANGUAGE_LENGTH)), LANGUAGE
]
RequestedLanguage = Annotated[
    str, AfterValidator(lambda text: _language(text, REQUESTED_LANGUAGE_LENGTH)), LANGUAGE
]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line), ONE_LINE]
Category = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line), ONE_LINE]
Description = Annotated[
    str, Field(max_length=10_000), AfterValidator(without_nul), described(pattern=NO_NUL)
]
Body = Annotated[str, Field(min_length=1), AfterValidator(_body), source("body_bytes")]
Subject = Annotated[str, AfterValidator(_subject), source("subject_bytes")]
OwnText = Annotated[str, Field(min_length=1), AfterValidator(_own_text), source("body_bytes")]
Preheader = Annotated[str, Field(min_length=1), AfterValidator(_preheader), source("subject_bytes")]
