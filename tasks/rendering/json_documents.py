"""JSON bodies: values are encoded by their position, and the output is parsed.

The engine does not know where in a JSON document a print is: inside a string a value must be
escaped, elsewhere it must become a JSON value. So each print leaves a mark that holds the value as
JSON, and :meth:`JsonCompiler.document` reads the output from left to right: what the author wrote
says whether a mark is inside a string. Macros, captures, loops and partials need no analysis.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from math import isinf
from typing import Any, Final, NamedTuple

from minijinja import Environment, safe

from tasks.errors import Code, Problem
from tasks.rendering.compiler import Compiler
from tasks.rendering.explain import SourceError
from tasks.rendering.filters.guards import lacks, to_json
from tasks.rendering.html.masks import flat
from tasks.rendering.limits import Limits
from tasks.rendering.partials import partials_of, uses
from tasks.rendering.places import placed
from tasks.rendering.rewriting import Edits, nulls
from tasks.rendering.samples import TEXT, Anything
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import printed
from tasks.rendering.texts import Text
from tasks.rendering.values import Unprintable
from tasks.rendering.watching import Found

# No value can hold it, for it is drawn at the start of the process; a filter that changes case
# damages it, and damage is found.
_NONCE: Final = f"jM{secrets.token_hex(8)}"
_HTML: Final = re.compile(
    r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--|&(?:[a-z][a-z0-9]+|\#\d+|\#x[0-9a-f]+);",
    re.IGNORECASE,
)
"""Tags, comments and references; Slack's ``<https://...>`` and ``<@U1>`` are none."""
_MARK: Final = re.compile(rf"\x02{_NONCE}([tv])([^\x03]*)\x03")
_STEP: Final = re.compile(r'\\(?:u[0-9a-fA-F]{4}|[^u])|\\|"')
_OPEN_ESCAPE: Final = re.compile(r"\\u?[0-9a-fA-F]{0,3}")
_ESCAPED_PRINT: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?(?=\{\{)")
_WORDS: Final = {
    "Extra data": "the document has text after its end",
    "Invalid control character at": "a line break or tab is in a string: write \\n or \\t",
    "Unexpected UTF-8 BOM (decode using utf-8-sig)": "remove the byte order mark before it",
    "Expecting ',' delimiter": "expecting a comma, or the end of the list or object",
    "Expecting property name enclosed in double quotes": "expecting a name in double quotes",
    "Illegal trailing comma before end of object": "remove the comma before the end of the object",
    "Illegal trailing comma before end of array": "remove the comma before the end of the list",
}
"""What Python's parser says, for authors."""

_CONTEXT: Final = 40
_HINT: Final = re.compile(r"[,\[{:]\s*\Z")
_SEPARATOR: Final = re.compile(r'\s*"[\s,:]+"\s*')
_PRINTED_SEPARATOR: Final = re.compile(r"""\{\{[-+]?\s*(?:'[\s,:]+'|"[\s,:]+")""")


class JsonCompiler(Compiler):
    """Compiles JSON bodies; each print is encoded for its position."""

    _sees_prints = True

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, escapes=False, replacing={"tojson": _as_json_text})

    def _environment(self, **options: Any) -> Environment:  # noqa: ANN401 - the engine's options
        # So the engine marks what macros and captures give as text that is not to be encoded again.
        mode = {"auto_escape_callback": lambda _name: "json", "finalizer": _marked}
        return super()._environment(**mode | options)

    def _around(self, source: str) -> Edits:
        """Have the ``none`` of an author be null, which JSON has, and no missing value."""
        values = printed(tree(source) or ()) if "none" in source.lower() else ()
        edits = [edit for value in values for edit in nulls(value)]
        return Edits(opening=edits[::2], closing=edits[1::2])

    def watch(
        self,
        name: str,
        partials: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        is_trial: bool = False,
    ) -> tuple[str | None, list[Found]]:
        """Return what a text does, but for null, true, objects and arrays, which JSON has."""
        output, found = super().watch(name, partials, values, is_trial=is_trial)
        return output, [each for each in found if each.kind == "undefined"]


class _TwiceError(ValueError):
    """An object has a member twice."""

    def __init__(self, name: str) -> None:
        super().__init__("an object of the body has a member twice: each name once")
        self.name = name


class Document(NamedTuple):
    """A JSON body: its text, and what it holds."""

    text: str
    value: Any


def html_partials(text: Text) -> Iterator[Problem]:
    """Yield a problem for each use of a partial that would bring HTML into a JSON body.

    Readers of the document would see its tags and references as they stand.
    """
    bodies = {name: partial["body"] for name, partial in text["partials"].items()}
    for use in uses(text["body"]):
        left = {name for name in (use.partial,) if name is not None}
        seen: set[str] = set()
        while left := left - seen:
            seen |= left
            left = partials_of([bodies.get(name) for name in left])
        html = sorted(name for name in seen if _HTML.search(flat(bodies.get(name, ""))))
        if html:
            message = (
                f"partial '{html[0]}' is HTML, and this body is JSON, whose readers would see the "
                "tags: write its words here, or use a partial without tags and references"
            )
            yield placed("body", "html_partial", message, text["body"], use.start)


def document(output: str, source: str) -> Document:
    """Return the document that a rendered JSON body is.

    Parameters
    ----------
    output
        As a :class:`JsonCompiler` renders it.
    source
        The source of the body, for the places of errors.

    Raises
    ------
    SourceError
        ``variables_invalid`` for a value that cannot be in a string, ``template_syntax`` where
        the output is not JSON.
    """
    parts = list(_parts(output, source))
    text = "".join(part for part, _ in parts)
    if _NONCE.lower() in text.lower():
        raise _syntax(
            "json_filter",
            "a filter or an operator changed text with placeholders in it: apply it to the value "
            "before the text is put together",
            source,
            None,
        )
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _not_json(error, parts, source) from None
    except UnicodeEncodeError:
        raise _syntax(
            "lone_surrogate", "a \\u escape gives half a surrogate pair", source, None
        ) from None
    except RecursionError:
        raise SourceError.limit("body", "the document is nested too deeply") from None
    except _TwiceError as error:
        place = _place_of_second(error.name, source)
        of_values = "; names that are placeholders must differ, also in examples of the variables"
        message = f"{error}{of_values if place is None else ''}"
        raise _syntax("json", message, source, place) from None
    except ValueError as error:
        place = source.find(str(error).partition(" ")[0])
        raise _syntax("json", str(error), source, place if place >= 0 else None) from None
    return Document(text, value)


def _parts(output: str, source: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of the document, each with whether the author wrote it."""
    in_string = False
    position = 0
    for match in _MARK.finditer(output):
        written = output[position : match.start()]
        in_string, is_open = _state(written, in_string=in_string)
        if is_open:
            message = "a placeholder is in an escape of a JSON string: remove the backslash"
            escape = _ESCAPED_PRINT.search(source)
            raise _syntax("json_escape", message, source, escape and escape.start())
        yield written, True
        # The spaces keep two numbers in a row from becoming one.
        value = f" {match[2]} "
        if in_string and match[1] == "t":
            value = json.dumps(match[2], ensure_ascii=False)[1:-1]
        elif in_string:
            value = _in_string(match[2], written, source)
        yield value, False
        position = match.end()
    yield output[position:], True


def _state(written: str, *, in_string: bool) -> tuple[bool, bool]:
    """Return whether what follows is inside a string, and whether it is inside an escape."""
    is_open = False
    for match in _STEP.finditer(written):
        is_open = False
        if match[0] == '"':
            in_string = not in_string
        elif match[0] == "\\":
            is_open = in_string and _OPEN_ESCAPE.fullmatch(written, match.start()) is not None
    return in_string, is_open


def _in_string(encoded: str, written: str, source: str) -> str:
    value = json.loads(encoded)
    if isinstance(value, str):
        return encoded[1:-1]
    if value is None or isinstance(value, bool | list | dict):
        kinds = {bool: "true or false", list: "an array", dict: "an object"}
        remedy = (
            "write a text for it, as in {{ name | default('') }}, or ask with if"
            if value is None
            else "use tojson for its JSON text, join, or if"
        )
        kind = kinds.get(type(value), "null")
        message = f"{kind} would be printed in a JSON string: {remedy}"
        place = _place_of_print(written, source)
        problem = placed("body", "json_string", message, source, place)
        raise SourceError(Code.VARIABLES_INVALID, message, problem)
    return encoded


def _marked(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return what is printed instead of a value: the finalizer of the engine."""
    if hasattr(type(value), "__html__"):
        return value
    if isinstance(value, Anything):
        value = TEXT
    if lacks(value):
        Unprintable.printed = True
        return ""
    return safe(_mark(value, "v"))


def _as_json_text(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    if isinstance(value, Anything):
        value = TEXT
    return safe(_mark(value, "t"))


def _mark(value: Any, kind: str) -> str:  # noqa: ANN401 - any value of a template
    # Controls are escaped in JSON, so that no value ends the mark.
    return f"\x02{_NONCE}{kind}{to_json(value)}\x03"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return result


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON: write null, or a number")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text} is a larger number than programs read: write it as a text")
    return number


def _not_json(
    error: json.JSONDecodeError, parts: list[tuple[str, bool]], source: str
) -> SourceError:
    """Return the error of an output that is not JSON, at the place in the source if it is known."""
    before = ""
    is_first = True
    is_separator = False
    position = 0
    for index, (part, is_written) in enumerate(parts):
        if is_written and part and position < error.pos:
            before, is_first = part[: error.pos - position], not index
        elif position <= error.pos < position + len(part):
            is_separator = _SEPARATOR.fullmatch(part) is not None
        position += len(part)
    place = _place(before[:_CONTEXT], source, is_first=is_first)
    what = _WORDS.get(error.msg) or error.msg[:1].lower() + error.msg[1:]
    message = f"the body is not valid JSON: {what}"
    found = error.doc[error.pos : error.pos + 5]
    if is_separator:
        printed = list(_PRINTED_SEPARATOR.finditer(source))
        place = printed[0].start() if len(printed) == 1 else place
        message += (
            "; a placeholder prints a text in quotes: write {% if not loop.last %},{% endif %}"
        )
    elif found.startswith(("True", "False", "None")):
        message += "; JSON has true, false and null"
    elif found.startswith(("'", "\u201c", "\u201d", "\u2018", "\u2019")):
        message += '; names and texts belong in quotes like this: "'
    elif _HINT.search(before) and "{% for" in source:
        message += "; between items of a loop write {% if not loop.last %},{% endif %}"
    elif before.rstrip().endswith(","):
        message += "; remove the comma before it"
    elif before.rstrip().endswith(":") and "{% if" in source:
        message += "; where a condition does not hold write {% else %}null"
    return _syntax("json", message, source, place)


def _place_of_print(written: str, source: str) -> int | None:
    """Return the place of the print that follows text of the author, if there is but one."""
    for length in range(min(_CONTEXT, len(written)), 0, -1):
        context = f"{written[-length:]}{{{{"
        if source.count(context) == 1:
            return source.index(context) + length
    return None


def _place_of_second(name: str, source: str) -> int | None:
    written = json.dumps(name, ensure_ascii=False)
    if source.count(written) != 2:  # noqa: PLR2004 - another object may have it, too
        return None
    return source.rindex(written)


def _place(before: str, source: str, *, is_first: bool) -> int | None:
    """Return the place in the source of text that the author wrote after a placeholder."""
    if is_first:
        return next((n for n in range(len(before), -1, -1) if source.startswith(before[:n])), None)
    for length in range(len(before), 0, -1):
        context = "}}" + before[:length]
        if source.count(context) == 1:
            return source.index(context) + len(context)
    return None


def _syntax(kind: str, message: str, source: str, place: int | None) -> SourceError:
    if place is not None and not 0 <= place <= len(source):
        place = None
    return SourceError.syntax("body", kind, message, source, place)
