"""MiniJinja, set up so that templates reach nothing but their values.

This module runs in the render process (:mod:`tasks.rendering.process`); the engine's fuel bounds
steps, the process's limits bound time and memory.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from minijinja import Environment, TemplateError

from tasks.errors import Code, Problem
from tasks.rendering.limits import Limits
from tasks.rendering.outputs import SUBJECT_CHARACTERS, one_line, without_nul

FUEL: Final = 20_000_000
"""Engine steps of one render: more than a second of work, so that time is the limit in practice."""

# Wherever it stands, a comment or raw block too: telling those apart from strings that look like
# them would take the engine's own lexer, and a mistake in it would switch escaping off.
_AUTOESCAPE = re.compile(r"\{%[-+]?\s*(autoescape)\b")
_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_NAMES_OF_THE_ENGINE = frozenset({"caller", "loop", "self", "super"})
# The template is at fault whatever the values are.
_KINDS_OF_THE_SOURCE = frozenset(
    {
        "SyntaxError",
        "UnknownFilter",
        "UnknownFunction",
        "UnknownTest",
        "TemplateNotFound",
        "BadInclude",
        "EvalBlock",
        "BadEscape",
        "MissingArgument",
        "TooManyArguments",
    }
)


class SourceError(Exception):
    """A source cannot be compiled or rendered: a code of the contract, and where."""

    def __init__(self, code: Code, message: str, problem: Problem) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problem = problem

    @classmethod
    def limit(cls, path: str, message: str) -> Self:
        """Return the error of a render that went over a limit."""
        return cls(
            Code.RENDER_LIMIT_EXCEEDED,
            message,
            {"path": path, "type": "limit", "message": message},
        )


class _NullValueError(Exception):
    """A null was about to be printed, which would read None."""


class Engine:
    """Compiles and renders single sources."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._html = _environment(escapes=True)
        self._text = _environment(escapes=False)
        self._globals = _NAMES_OF_THE_ENGINE | set(self._text.globals)

    def placeholders(self, source: str, path: str, *, html: bool) -> list[str]:
        """Return the sorted names that ``source`` takes from its variables, as paths.

        Raises
        ------
        SourceError
            ``template_syntax``, with line and column.
        """
        environment = self._html if html else self._text
        _refuse_autoescape(source, path)
        try:
            names = environment.undeclared_variables_in_str(source, nested=True)
        except TemplateError as error:
            raise _explained(error, source, path, {}, ()) from None
        own = {name for name in names if name.split(".")[0] not in self._globals}
        return sorted(_without_methods(own, source))

    def body(self, source: str, path: str, values: Mapping[str, Any], *, html: bool) -> str:
        """Return a rendered body.

        Raises
        ------
        SourceError
            ``variables_invalid``, ``template_syntax`` or ``render_limit_exceeded``.
        """
        text = self._render(self._html if html else self._text, source, path, values)
        size = len(text.encode())
        if size > self._limits.output_bytes:
            raise SourceError.limit(
                path, f"the output is {size} bytes, the limit is {self._limits.output_bytes}"
            )
        return without_nul(text)

    def subject(self, source: str, path: str, values: Mapping[str, Any]) -> str:
        """Return a rendered subject: one line of at most 998 characters.

        Raises
        ------
        SourceError
            As for :meth:`body`.
        """
        line = one_line(self._render(self._text, source, path, values))
        if len(line) > SUBJECT_CHARACTERS:
            raise SourceError.limit(
                path, f"the subject is {len(line)} characters, the limit is {SUBJECT_CHARACTERS}"
            )
        return line

    def _render(
        self, environment: Environment, source: str, path: str, values: Mapping[str, Any]
    ) -> str:
        _refuse_autoescape(source, path)
        if "self" in values:
            # The engine's own name, and its Python method's: no template can use such a value.
            values = {name: value for name, value in values.items() if name != "self"}
        try:
            return environment.render_str(source, path, **values)
        except TemplateError as error:
            names = self.placeholders(source, path, html=environment is self._html)
            raise _explained(error, source, path, values, names) from None
        except _NullValueError:
            names = self.placeholders(source, path, html=environment is self._html)
            raise _null_printed(path, values, names) from None
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - whatever Python says of a value may quote it
            # Values reach Python in filters, in the finalizer and in methods of objects.
            message = "an operation does not fit the value it was given"
            problem: Problem = {"path": path, "type": "invalid_operation", "message": message}
            raise SourceError(Code.VARIABLES_INVALID, message, problem) from None


def _without_methods(names: Iterable[str], source: str) -> set[str]:
    """Return ``names`` with ``user.name`` for the ``user.name.upper`` that the source calls."""
    tags = "\n".join(_TAG.findall(source))
    found = set()
    for name in names:
        parent, _, _ = name.rpartition(".")
        call = r"\b" + r"\s*\.\s*".join(re.escape(step) for step in name.split(".")) + r"\s*\("
        found.add(parent if parent and re.search(call, tags) else name)
    return found


def _environment(*, escapes: bool) -> Environment:
    environment = Environment(
        debug=False,  # else values stand in error messages
        fuel=FUEL,
        undefined_behavior="strict",
        auto_escape_callback=lambda _name: escapes,
        finalizer=_printable,
        keep_trailing_newline=True,
    )
    # Escaping follows the output, never the template.
    environment.remove_filter("safe")
    environment.remove_global("debug")
    # The engine's own marks its output as safe, quotes included, which breaks out of attributes.
    environment.add_filter("tojson", _to_json)
    return environment


def _printable(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    if value is None:
        raise _NullValueError
    return value


def _to_json(value: Any) -> str:  # noqa: ANN401 - any value of a template
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _refuse_autoescape(source: str, path: str) -> None:
    if match := _AUTOESCAPE.search(source):
        message = "autoescape is not available: escaping follows the type of the template"
        problem = _placed(path, "autoescape", message, source, match.start(1))
        raise SourceError(Code.TEMPLATE_SYNTAX, message, problem)


def _explained(
    error: TemplateError,
    source: str,
    path: str,
    values: Mapping[str, Any],
    names: list[str] | tuple[str, ...],
) -> SourceError:
    start, end = error.range or (None, None)
    raw = source.encode()
    place = len(raw[:start].decode(errors="ignore")) if start is not None else None
    if error.kind == "OutOfFuel":
        return SourceError.limit(path, f"more than {FUEL} engine steps")
    if "panic during rendering" in (error.detail or error.message):
        # Its words are of no use: a Rust file, and a pointer that is null for want of memory.
        return SourceError.limit(path, "the template engine gave up, as it does without memory")
    if error.detail == "recursion limit exceeded":
        return SourceError.limit(path, "nested too deeply")
    if error.kind == "UndefinedError":
        expression = raw[start:end].decode(errors="ignore") if start is not None else ""
        missing = [name for name in names if not _present(values, name)]
        shown = expression if not missing else ", ".join(missing)
        message = f"no value for {shown}" if shown else "a value is missing"
        problem = _placed(path, "undefined", message, source, place)
        return SourceError(Code.VARIABLES_INVALID, message, problem)
    # No JSON value can be called, so that a call of one is a function that there is not.
    of_source = error.kind in _KINDS_OF_THE_SOURCE or (error.detail or "").endswith("not callable")
    message = _without_values(error)
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", error.kind).lower()
    problem = _placed(path, kind, message, source, place)
    return SourceError(
        Code.TEMPLATE_SYNTAX if of_source else Code.VARIABLES_INVALID, message, problem
    )


def _without_values(error: TemplateError) -> str:
    """Return what the engine says, but for the sentences into which it puts values."""
    if error.kind in {"TemplateNotFound", "BadInclude"}:
        return "there is no template of that name to include, import or extend"
    if error.detail and error.detail.startswith("unable to calculate"):
        return "unable to calculate: a division by zero, or numbers too large"
    if error.detail and error.detail.startswith("invalid conversion type"):
        return "invalid conversion type in a format"
    return error.detail or error.message


def _null_printed(path: str, values: Mapping[str, Any], names: list[str]) -> SourceError:
    nulls = [name for name in names if _present(values, name) and _value(values, name) is None]
    message = f"null would be printed: {', '.join(nulls)}" if nulls else "null would be printed"
    return SourceError(
        Code.VARIABLES_INVALID, message, {"path": path, "type": "null", "message": message}
    )


def _placed(path: str, kind: str, message: str, source: str, place: int | None) -> Problem:
    """Return a problem with line and column from 1, and the line with a caret under the place."""
    problem: Problem = {"path": path, "type": kind, "message": message}
    if place is None:
        return problem
    before = source[:place]
    column = place - (before.rfind("\n") + 1)
    text = source.split("\n")[before.count("\n")]
    # A long line is cut around the place, which is what its author needs to see.
    left = max(0, column - 60)
    problem["line"] = before.count("\n") + 1
    problem["column"] = column + 1
    problem["snippet"] = f"{text[left : left + 120]}\n{' ' * (column - left)}^"
    return problem


def _value(values: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    node: Any = values
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            raise KeyError(name)
        node = node[part]
    return node


def _present(values: Mapping[str, Any], name: str) -> bool:
    try:
        _value(values, name)
    except KeyError:
        return False
    return True
