"""Decoding of a message's body: its encodings, and the three parts of Celery's protocol 2."""

import binascii
import json
from typing import Any, Final, NamedTuple

from worker.envelope.callbacks import FIELDS, complete, write_out_times
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
"""Encodings that clients declare for JSON: kombu utf-8, celery-php binary. kombu reads UTF-8."""

_WHITESPACE: Final = str.maketrans("", "", "\r\n\t ")
_EMBED: Final = frozenset(FIELDS)
_MARK: Final = b'"__type__"'


class Content(NamedTuple):
    """Arguments, keyword arguments and callbacks."""

    args: list[Any]
    kwargs: dict[str, Any]
    embed: dict[str, Any] | None


def raw_body(wrapped: object, encoding: object) -> bytes:
    """Decode the body of a queue entry, which kombu wraps in JSON.

    Raises
    ------
    RefusedError
        The body is missing, or not encoded as ``encoding`` says.
    """
    if not isinstance(wrapped, str) or not wrapped:
        raise RefusedError.at("body", UNDECODABLE, "expected text")
    name = encoding.lower() if isinstance(encoding, str) else encoding
    if name == "base64":
        return _from_base64(wrapped)
    if name in (None, "", "utf-8"):
        return wrapped.encode()
    message = "expected base64 or utf-8"
    raise RefusedError.at("properties.body_encoding", UNDECODABLE, message)


def content_of(body: bytes, rules: Rules) -> tuple[Content, bytes]:
    """Parse a body; return its content, and its bytes in a form that Celery reads.

    Raises
    ------
    RefusedError
        The content does not match protocol 2.
    """
    number = brackets(body)
    if number > rules.most_brackets:
        message = f"expected at most {rules.most_brackets} opening brackets"
        raise RefusedError.at("body", REFUSED, message)
    value, is_plain = _decoded(body, rules)
    match value:
        case [list() as args, dict() as kwargs, (dict() | None) as embed]:
            pass
        case {"task": _}:
            own = value.get("id")
            message = "protocol 1 is not supported, send protocol 2"
            raise RefusedError.at(
                "headers.task", PROTOCOL_1, message, own if is_reachable(own) else None
            )
        case _:
            message = "expected [args, kwargs, embed]: a list, an object, and an object or null"
            raise RefusedError.at("body", MALFORMED, message)
    if number > rules.depth and deeper_than(rules.depth, value):
        raise _too_deep(rules)
    if embed and not embed.keys() <= _EMBED:
        message = f"expected nothing but {', '.join(FIELDS)} in its third part"
        raise RefusedError.at("body", MALFORMED, message)
    if not is_plain and not plain([args, list(kwargs), embed]):
        message = "expected plain JSON, but for the values of keyword arguments"
        raise RefusedError.at("body", MALFORMED, message)
    if embed:
        has_new_times = _MARK in body and write_out_times(embed)
        if complete(embed) or has_new_times:
            body = json.dumps(value).encode()
    return Content(args, kwargs, embed), body


def _decoded(body: bytes, rules: Rules) -> tuple[Any, bool]:
    try:
        return decoded(body)
    except ValueError:
        raise RefusedError.at("body", UNDECODABLE, "expected JSON in UTF-8") from None
    except RecursionError:
        raise _too_deep(rules) from None


def _too_deep(rules: Rules) -> RefusedError:
    message = f"expected at most {rules.depth} levels of JSON"
    return RefusedError.at("body", UNDECODABLE, message)


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    try:
        # Some encoders break lines, as MIME does.
        return binascii.a2b_base64(text.translate(_WHITESPACE), strict_mode=True)
    except ValueError:
        message = "expected base64, as properties.body_encoding says"
        raise RefusedError.at("body", UNDECODABLE, message) from None
