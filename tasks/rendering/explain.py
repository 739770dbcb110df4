"""Errors of the template engine as errors of the contract, with line, column and snippet."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, Self

from minijinja import TemplateError

from tasks.errors import MOST_PROBLEMS, Code, Problem, problem
from tasks.rendering.compiler import FUEL
from tasks.rendering.failures import FilterFailedError
from tasks.rendering.filters.guards import MissingError, NullError
from tasks.rendering.filters.text_filters import UNPRINTABLE
from tasks.rendering.hints.renders import (
    ASK,
    MISSING_ARGUMENT,
    UNKNOWN_FUNCTION,
    ask,
    naming,
    of_expected,
    of_function,
    of_method,
    of_render,
)
from tasks.rendering.hints.sources import hint
from tasks.rendering.hints.unknown_names import of_unknown
from tasks.rendering.locale_filters import ArgumentError, InputError
from tasks.rendering.locale_filters.errors import PatternError
from tasks.rendering.paths import steps_of
from tasks.rendering.places import place_of, placed
from tasks.rendering.rewriting import Rewritten
from tasks.rendering.tags import tag_at, tags
from tasks.rendering.values import Null
from tasks.rendering.watching import Found

# The template is at fault whatever the values are.
_KINDS_OF_THE_SOURCE: Final = frozenset(
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
# An error in a partial reaches Python as the text of a chain of causes; the last one is the error.
_CAUSE: Final = re.compile(
    r"^caused by: ([^:\n]+?)(?:: ([^\n]*))? \(in ([^\n]+):(\d+)\)$", re.MULTILINE
)
_KIND_OF: Final = {
    "undefined value": "UndefinedError",
    "engine ran out of fuel": "OutOfFuel",
    "template not found": "TemplateNotFound",
    "could not render include": "BadInclude",
    "could not render block": "EvalBlock",
}
# By the kind of what would be printed: how its names are introduced, and what to do instead.
_UNPRINTABLE: Final = {
    **{
        kind: (f"{name} would be printed:", f": {remedy}")
        for kind, (name, remedy) in UNPRINTABLE.items()
    },
    "null": ("null would be printed:", ASK),
    "undefined": ("no value for", ASK),
}
_TYPES: Final = {
    "array": "unprintable",
    "boolean": "unprintable",
    "null": "null",
    "object": "unprintable",
    "undefined": "undefined",
}
_KINDS_OF_NAMES: Final = {"UnknownFilter": "filter", "UnknownTest": "test"}
# Names of filters and tests that are looked up when map, select and their like run.
_QUOTED: Final = re.compile(
    r"""\b(?:map|select|reject|(?:select|reject)attr\([^,()]*,)[(\s]*(['"])(\w+)\1"""
)
_BEFORE: Final = re.compile(r"[\w.\[\]]*$")
_METHODS: Final = (".get", ".items", ".keys", ".values")
_LITERALS: Final = re.compile(
    r"""\s*(\(\s*(\w+\s*=\s*)?(-?[\d.]+|true|True|false|False|"[^"]*"|'[^']*')(\s*,\s*(\w+\s*=\s*)?(-?[\d.]+|true|True|false|False|"[^"]*"|'[^']*'))*\s*\))?\s*(\||[-+]?[%}]\}|$|\s)"""
)
_NOT_COUNTED: Final = (
    "a decimal, an integer beyond 64 bits or a value that is not a number cannot be calculated "
    "with: "
    "send the result, or convert it with the filter float or int"
)


class SourceError(Exception):
    """A source cannot be compiled or rendered: a code of the contract, and where."""

    def __init__(
        self, code: Code, message: str, problem: Problem, others: Iterable[Problem] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problem = problem
        self.problems = [problem, *others]

    @classmethod
    def limit(cls, path: str, message: str) -> Self:
        """Return the error of a render that exceeded a limit."""
        return cls(Code.RENDER_LIMIT_EXCEEDED, message, problem(path, "limit", message))

    @classmethod
    def values(cls, path: str, kind: str, message: str) -> Self:
        """Return the error of values that the source cannot be rendered with."""
        return cls(Code.VARIABLES_INVALID, message, problem(path, kind, message))

    @classmethod
    def syntax(cls, path: str, kind: str, message: str, source: str, place: int | None) -> Self:
        """Return the error of a source that fails with all values."""
        return cls(Code.TEMPLATE_SYNTAX, message, placed(path, kind, message, source, place))


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """The render in which an error occurred.

    Attributes
    ----------
    path
        The place of the source in the message: ``subject`` or ``body``.
    source
        The source itself.
    partials
        The template_ids of the partials, by their compiled names, each with its source.
    values
        What it was rendered with.
    placeholders
        Returns the placeholders of a source.
    rewritten
        Returns what the engine compiled by a name, or None where that is the source.
    """

    path: str
    source: str
    partials: Mapping[str, tuple[str, str]]
    values: Mapping[str, Any]
    placeholders: Callable[[str], Iterable[str]]
    rewritten: Callable[[str], Rewritten | None] = lambda _: None


class _Cause(NamedTuple):
    kind: str
    detail: str
    template: str | None
    place: int | None


def explained(error: TemplateError, context: ErrorContext) -> SourceError:
    """Return the engine's error as an error of the contract."""
    if "panic during rendering" in (error.detail or error.message):
        # Its words are of no use: a Rust file, and a pointer that is null for lack of memory.
        message = "the template engine ran out of memory"
        return SourceError.limit(context.path, message)
    cause = _cause(error, context)
    if cause.kind == "OutOfFuel":
        return SourceError.limit(context.path, f"more than {FUEL} engine steps")
    if cause.detail == "recursion limit exceeded":
        return SourceError.limit(context.path, "nested too deeply")
    partial, source = context.partials.get(cause.template or "", (None, context.source))
    prefix = f"partial '{partial}': " if partial is not None else ""
    if cause.kind == "UndefinedError":
        shown = _missing(context, source) or _expression(error, source, context)
        message = f"{prefix}no value for {shown}" if shown else f"{prefix}a value is missing"
        full = f"{message}{ask(shown)}" if shown else message
        problem = placed(context.path, "undefined", full, source, cause.place)
        return SourceError(Code.VARIABLES_INVALID, message, problem)
    detail = _without_values(cause)
    of_values = detail == _NOT_COUNTED or cause.detail.startswith("cannot get ")
    if of_values and (nulls := _nulls_at(cause.place, source, context)):
        message = f"{prefix}no value for {', '.join(nulls)}"
        problem = placed(context.path, "undefined", f"{message}{ASK}", source, cause.place)
        return SourceError(Code.VARIABLES_INVALID, message, problem)
    message = prefix + _with_remedy(detail, cause, source)
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cause.kind).lower()
    # No JSON value can be called, so that a call of one calls an unknown function.
    of_source = cause.kind in _KINDS_OF_THE_SOURCE or cause.detail.endswith("not callable")
    code = Code.TEMPLATE_SYNTAX if of_source else Code.VARIABLES_INVALID
    return SourceError(code, message, placed(context.path, kind, message, source, cause.place))


def _with_remedy(detail: str, cause: "_Cause", source: str) -> str:
    if cause.kind in {"BadEscape", "SyntaxError"}:
        remedy = hint(source, cause.place, detail)
        return f"{detail}: {remedy}" if remedy else detail
    if cause.kind == "UnknownFunction" or detail == UNKNOWN_FUNCTION:
        return of_function(source, cause.place)
    named = _QUOTED.search(_tag(source, cause.place)) if cause.kind in _KINDS_OF_NAMES else None
    if named is not None:
        remedy = of_unknown(_KINDS_OF_NAMES[cause.kind], named[2])
        member = f"; for a member of each item write map(attribute='{named[2]}')"
        return f"{remedy}{member}" if cause.kind == "UnknownFilter" else remedy
    is_of_use = detail.startswith(("expected ", MISSING_ARGUMENT))
    return of_expected(source, cause.place, detail) if is_of_use else detail


def unprintable(
    found: Sequence[Found], context: ErrorContext, *, is_trial: bool
) -> SourceError | None:
    """Return the error of values that cannot be printed, or None without such values.

    All of them are reported, with their places; in a loop the first item only if the items
    cannot be distinguished.
    """
    problems: dict[tuple[str, str, int], Problem] = {}
    messages: dict[str, dict[str, None]] = {}
    for each in found:
        partial, source = context.partials.get(each.template, (None, context.source))
        prefix = f"partial '{partial}': " if partial is not None else ""
        words, remedy = _UNPRINTABLE[each.kind]
        # A value in an array has a place in the message, too.
        path = f"variables.{each.name}" if each.is_path and not is_trial else context.path
        remedy = ask(each.name) if each.kind == "undefined" else remedy
        message = f"{prefix}{words} {each.name}{remedy}"
        key = (each.template, each.name, each.place)
        problems.setdefault(key, placed(path, _TYPES[each.kind], message, source, each.place))
        messages.setdefault(words, {})[each.name] = None
        if len(problems) > MOST_PROBLEMS:
            break
    if not problems:
        return None
    sentences = (f"{words} {', '.join(islice(names, 5))}" for words, names in messages.items())
    first, *others = problems.values()
    return SourceError(Code.VARIABLES_INVALID, "; ".join(sentences), first, others)


def unprintable_type(path: str, kind: str, name: str, source: str, place: int) -> Problem:
    """Return the problem of a print of a variable whose type has no text."""
    words, remedy = _UNPRINTABLE[kind]
    return placed(path, _TYPES[kind], f"{words} {name}{remedy}", source, place)


def null_printed(context: ErrorContext) -> SourceError:
    """Return the error of a null that became text, which no print shows: in a filter, say."""
    sources = [context.source, *(source for _, source in context.partials.values())]
    names = list(dict.fromkeys(name for source in sources for name in context.placeholders(source)))
    nulls = [name for name in names if _is_null(context.values, name)]
    places = [place_of(name, context.source) for name in nulls]
    place = next((each for each in places if each is not None), None)
    if not nulls:
        # A method that every object has was found where this one lacks the member.
        lacking = [name for name in names if name.endswith(_METHODS)]
        absent = ", ".join(name for name in lacking if not present(context.values, name))
        if absent:
            return SourceError.values(context.path, "undefined", f"no value for {absent}")
    message = "null would be printed"
    if nulls:
        message += f": {', '.join(nulls)}"
    problem = placed(context.path, "null", f"{message}{ASK}", context.source, place)
    return SourceError(Code.VARIABLES_INVALID, message, problem)


def filter_failed(
    failed: FilterFailedError, context: ErrorContext, place: int | None
) -> SourceError:
    """Return the error of a filter or test at ``place`` of the source in which it is."""
    partial, source = context.partials.get(failed.template, (None, context.source))
    message = f"partial '{partial}': {failed}" if partial is not None else str(failed)
    if isinstance(failed.error, MissingError):
        shown = _missing(context, source) or ", ".join(_nulls_at(place, source, context))
        message += f", no value for {shown}" if shown else ""
        kind = "null" if isinstance(failed.error, NullError) else "undefined"
        problem = placed(context.path, kind, f"{message}{ASK}", source, place)
        return SourceError(Code.VARIABLES_INVALID, message, problem)
    if isinstance(failed.error, InputError) and (nulls := _nulls_at(place, source, context)):
        message += f", no value for {', '.join(nulls)}"
    # An argument that comes from a value is wrong for this render only.
    is_literal = place is not None and _LITERALS.match(source, place + len(failed.use)) is not None
    of_source = isinstance(failed.error, PatternError) or (
        isinstance(failed.error, ArgumentError) and is_literal
    )
    problem = placed(context.path, failed.kind, message, source, place)
    if of_source:
        return SourceError(Code.TEMPLATE_SYNTAX, message, problem)
    # Logs have the sentence alone.
    return SourceError(Code.VARIABLES_INVALID, naming(message, source, place), problem)


def unfit_operation(path: str, source: str) -> SourceError:
    """Return the error of what Python refused."""
    message, place = of_method(source)
    problem = placed(path, "invalid_operation", message, source, place)
    return SourceError(Code.VARIABLES_INVALID, message, problem)


def present(values: Mapping[str, Any], name: str) -> bool:
    """Return whether there is a value at a path such as ``user.name``."""
    try:
        value_at(values, name)
    except KeyError:
        return False
    return True


def value_at(values: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a path.

    Raises
    ------
    KeyError
        There is none.
    """
    node: Any = values
    for part in steps_of(name):
        if not isinstance(node, dict) or part not in node:
            raise KeyError(name)
        node = node[part]
    return node


def _is_null(values: Mapping[str, Any], name: str) -> bool:
    return present(values, name) and isinstance(value_at(values, name), Null)


def _nulls_at(place: int | None, source: str, context: ErrorContext) -> list[str]:
    """Return the placeholders of the tag at a place that are null."""
    tag = _tag(source, place)
    return [
        name
        for name in (context.placeholders(source) if tag else ())
        if _is_null(context.values, name) and place_of(name, tag) is not None
    ]


def _tag(source: str, place: int | None) -> str:
    """Return the tag at a place, or nothing."""
    tag = None if place is None else tag_at(source, place)
    return "" if tag is None else source[tag.start : tag.end]


def _cause(error: TemplateError, context: ErrorContext) -> _Cause:
    causes = _CAUSE.findall(str(error)) if error.kind in ("BadInclude", "EvalBlock") else []
    if not causes:
        source = context.partials.get(error.name or "", ("", context.source))[1]
        # Without a detail the engine reports the kind and, by a name of ours, the template.
        detail = error.detail or error.message.partition(" (in ")[0]
        return _Cause(error.kind, detail, error.name, _place(error, source, context))
    words, detail, template, line = causes[-1]
    source = context.partials.get(template, ("", context.source))[1]
    place = _first_tag_of_line(source, int(line))
    kind = _KIND_OF.get(words, words.title().replace(" ", ""))
    return _Cause(kind, detail or words, template, place)


def _place(error: TemplateError, source: str, context: ErrorContext) -> int | None:
    """Return the place of an error in characters of its source; the engine counts bytes."""
    if error.range is None:
        return None
    compiled = context.rewritten(error.name or "") or Rewritten(source)
    characters = len(compiled.text.encode()[: error.range[0]].decode(errors="ignore"))
    return compiled.original(characters)


def _first_tag_of_line(source: str, line: int) -> int:
    start = len("\n".join(source.split("\n")[: line - 1])) + (line > 1)
    return next((tag.start for tag in tags(source) if tag.end > start), start)


def _missing(context: ErrorContext, source: str) -> str:
    """Return the placeholders of a source that have no value, for people."""
    names = context.placeholders(source)
    return ", ".join(name for name in names if not present(context.values, name))


def _expression(error: TemplateError, source: str, context: ErrorContext) -> str:
    if error.kind != "UndefinedError" or error.range is None:
        return ""
    compiled = context.rewritten(error.name or "") or Rewritten(source)
    encoded = compiled.text.encode()
    start, end = (
        compiled.original(len(encoded[:place].decode(errors="ignore"))) for place in error.range
    )
    # The engine's range begins after the value that is subscribed.
    start -= len(_BEFORE.search(source[:start])[0])  # type: ignore[index] # it matches nothing, too
    return source[start:end]


def _without_values(cause: _Cause) -> str:
    """Return the engine's message, except sentences that contain values."""
    if cause.kind in {"TemplateNotFound", "BadInclude"}:
        return "unknown partial: publish it first, or correct the name"
    if cause.kind == "InvalidOperation" and "plain object" in cause.detail:
        return _NOT_COUNTED
    if cause.detail.endswith("not callable"):
        return UNKNOWN_FUNCTION
    if cause.kind == "CannotUnpack":
        return of_render("not enough values to unpack")
    return of_render(cause.detail)
