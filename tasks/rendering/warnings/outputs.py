"""Warnings about rendered texts: size, empty text alternative, segments of an SMS."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tasks.rendering.html.masks import flat
from tasks.rendering.outputs import is_html
from tasks.rendering.sms import count
from tasks.rendering.texts import Text
from tasks.rendering.warnings.codes import Code, Place, warning
from tasks.rendering.warnings.pages import insecure_values

GMAIL_BYTES: Final = 102 * 1024
"""Bytes of a body; Gmail clips a longer one."""

MOST_CHARACTERS: Final = 3
"""Different characters to replace; more of them are the language of a text, not an accident."""

_GSM: Final = "x"


def finished_text_warnings(
    text: Text, prefix: str, parts: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield warnings about the finished parts of a text; ``prefix`` leads to it in the message."""
    path = f"{prefix}body"
    text_path = path if text.get("text") is None else f"{prefix}text"
    return output_warnings(text["type"], parts, text["body"], path, text_path)


def output_warnings(
    kind: str, parts: Mapping[str, Any], source: str, path: str, text_path: str
) -> Iterator[dict[str, Any]]:
    """Yield warnings about the finished parts of a text.

    Parameters
    ----------
    kind
        Type of the template.
    parts
        As :meth:`tasks.rendering.engine.Engine.render` gives them.
    source, path
        The body's source, and its place in the message.
    text_path
        Path of the text part; the body's path if the text is derived from it.
    """
    body = parts["body"]
    yield from insecure_values(body, source, path, html=is_html(kind))
    if kind == "email":
        size = len(body.encode())
        if size > GMAIL_BYTES:
            message = f"the body is {size:,} bytes, which Gmail clips after {GMAIL_BYTES:,}"
            yield warning(Code.LARGE_BODY, Place(path), message)
        if not (parts.get("text") or "").strip():
            yield warning(Code.EMPTY_TEXT, Place(text_path), "the plain-text part is empty")
    elif kind == "sms":
        yield from _sms(body, source, path)


def _sms(body: str, source: str, path: str) -> Iterator[dict[str, Any]]:
    counted = count(body)
    if counted.segments == 1:
        return
    # What is not in the alphabet makes each character take 16 bits; of the rest, some take two
    # septets.
    foreign = sorted(each for each in set(body) if count(each).encoding != "GSM-7")
    costly = foreign or sorted(each for each in set(body) if count(each).length > 1)
    without = counted
    if len(costly) <= MOST_CHARACTERS and sum(map(body.count, costly)) * 2 <= len(body):
        without = count(body.translate(dict.fromkeys(map(ord, costly), _GSM)))
    shown = flat(source)
    if without.segments < counted.segments:
        at = min((at for each in costly if (at := shown.find(each)) >= 0), default=None)
        what = f"{', '.join(map(_named, costly))} {'take' if len(costly) > 1 else 'takes'}"
    else:
        # Perhaps it is merely too long by one.
        without = count(body[:-1])
        at = len(source) - 1 if shown.endswith(body[-1]) else None
        what = f"the last character, {_named(body[-1])}, takes"
    if without.segments < counted.segments:
        message = (
            f"{what} the SMS to {counted.segments} segments of {counted.encoding} instead of "
            f"{without.segments}"
        )
        yield warning(Code.SMS_CHARACTER, Place(path, source, at), message)


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"'{character}' (U+{ord(character):04X}{' ' if name else ''}{name})"
