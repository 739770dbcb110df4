"""The body of a message: its encodings, and the three parts of Celery's protocol 2 in it."""

import binascii
import json
from typing import Any, Final, NamedTuple

from worker.envelope.callbacks import FIELDS, write_out_times
from worker.envelope.fields import is_reachable
from worker.envelope.plain_json import brackets, decoded, deeper_than, plain
from worker.envelope.refusals import (
    MALFORMED,
    PROTOCOL_1,
    REFUSED,
    UNDECODABLE,
    RefusedError,
)
from worker.envelope.rules import Rules

CONTENT_TYPE: Final = "application/json"
CONTENT_ENCODINGS: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii", "binary"})
"""What clients write for JSON: kombu utf-8, celery-php binary. kombu reads UTF-8 whatever it is."""

_WHITESPACE: Final = str.maketrans("", "", "\r\n\t ")
_EMBED: Final = frozenset(FIELDS)
_MARK: Final = b'"__type__"'


class Content(NamedTuple):
    """Arguments, keyword arguments and callbacks."""

    args: list[Any]
    kwargs: dict[str, Any]
    embed: dict[str, Any] | None


def raw_body(wrapped: object, encoding: object) -> bytes:
    """Return the bytes that kombu has put into its JSON.

    Raises
    ------
    RefusedError
        There are none, or they are encoded in some other way than ``encoding`` says.
    """
    if not isinstance(wrapped, str) or not wrapped:
        raise RefusedError.at("body", UNDECODABLE, "text was expected")
    name = encoding.lower() if isinstance(encoding, str) else encoding
    if name == "base64":
        return _from_base64(wrapped)
    if name in (None, "", "utf-8"):
        return wrapped.encode()
    told = "base64 or utf-8 was expected"
    raise RefusedError.at("properties.body_encoding", UNDECODABLE, told)


def content_of(body: bytes, rules: Rules) -> tuple[Content, bytes]:
    """Return what a body holds, and the body that says so in a form which Celery reads.

    Raises
    ------
    RefusedError
        It holds something else than protocol 2 has there.
    """
    number = brackets(body)
    if number > rules.most_brackets:
        told = f"at most {rules.most_brackets} opening brackets were expected"
        raise RefusedError.at("body", REFUSED, told)
    value, is_plain = _decoded(body, rules)
    match value:
        case [list() as args, dict() as kwargs, (dict() | None) as embed]:
            pass
        case {"task": _}:
            own = value.get("id")
            told = "protocol 1 is not supported, send protocol 2"
            raise RefusedError.at(
                "headers.task", PROTOCOL_1, told, own if is_reachable(own) else None
            )
        case _:
            told = "[args, kwargs, embed] was expected: a list, an object, and an object or null"
            raise RefusedError.at("body", MALFORMED, told)
    if number > rules.depth and deeper_than(rules.depth, value):
        raise _too_deep(rules)
    if embed and not embed.keys() <= _EMBED:
        told = f"nothing but {', '.join(FIELDS)} was expected in its third part"
        raise RefusedError.at("body", MALFORMED, told)
    if not is_plain and not plain([args, list(kwargs), embed]):
        told = "plain JSON was expected, but for the values of keyword arguments"
        raise RefusedError.at("body", MALFORMED, told)
    if embed and _MARK in body and write_out_times(embed):
        body = json.dumps(value).encode()
    return Content(args, kwargs, embed), body


def _decoded(body: bytes, rules: Rules) -> tuple[Any, bool]:
    try:
        return decoded(body)
    except ValueError:
        raise RefusedError.at("body", UNDECODABLE, "JSON in UTF-8 was expected") from None
    except RecursionError:
        raise _too_deep(rules) from None


def _too_deep(rules: Rules) -> RefusedError:
    told = f"at most {rules.depth} levels of JSON were expected"
    return RefusedError.at("body", UNDECODABLE, told)


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    try:
        # Some encoders break lines, as MIME does.
        return binascii.a2b_base64(text.translate(_WHITESPACE), strict_mode=True)
    except ValueError:
        told = "base64 was expected, as properties.body_encoding says"
        raise RefusedError.at("body", UNDECODABLE, told) from None
