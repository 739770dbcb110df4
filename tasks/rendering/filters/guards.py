"""Strict versions of the engine's filters and tests that accept undefined values.

MiniJinja is strict about what is missing in prints, operators and most filters, but these give a
blank, an empty list or false for it, and miss a missing member of a list. Each does what the
engine's own does, which an environment of its own is asked for.
"""

import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

from minijinja import Environment, TemplateError, safe

from tasks.rendering.filters import graphemes
from tasks.rendering.locale_filters import ArgumentError, FilterError, InputError
from tasks.rendering.locale_filters.numbers import as_decimal
from tasks.rendering.markup_values import checked, is_markup
from tasks.rendering.numbers import Exact
from tasks.rendering.samples import Anything
from tasks.rendering.values import MISSING, Array, Null, without_missing, wrapped

_FILTERS: Final = (
    *("bool", "chain", "e", "escape", "groupby", "join", "pprint", "sum", "truncate", "urlencode"),
    *("wordwrap", "zip"),
)
_TESTS: Final = (
    *("boolean", "divisibleby", "eq", "equalto", "escaped", "even", "false", "float", "ge"),
    *("greaterthan", "gt", "in", "int", "integer", "iterable", "le", "lessthan", "lower", "lt"),
    *("mapping", "ne", "number", "odd", "safe", "sameas", "sequence", "string", "true", "upper"),
)
_NUMBER: Final = "expected a number, or a text that is one, such as '12.50'"
_OF_ITEMS: Final = "expected an array"
_OF_PAIRS: Final = "expected an object"
_OF_TEXT: Final = "expected a text, and no arguments"
_EXPECTED: Final[Mapping[str, str]] = {
    "abs": "expected a number",
    "divisibleby": "expected whole numbers, as in {% if n is divisibleby(2) %}",
    "dictsort": _OF_PAIRS,
    "endingwith": "expected a text, and a text in brackets",
    "even": "expected a whole number",
    "float": _NUMBER,
    "format": "expected a value for each % sign: a text for %s, a whole number for %d, a number "
    "for %.2f",
    "groupby": "expected an array of objects, and the name of a member",
    "int": _NUMBER,
    "odd": "expected a whole number",
    "round": "expected a number, and a number of digits, as in {{ total | round(2) }}",
    "startingwith": "expected a text, and a text in brackets",
    "sum": "expected an array of numbers",
    **dict.fromkeys(
        ("capitalize", "lower", "string", "striptags", "title", "trim"),
        _OF_TEXT,
    ),
    "indent": "expected a text and a number of spaces, as in indent(4)",
    "replace": "expected a text, and what to replace by what, as in replace('a', 'b')",
    "truncate": "expected a text and a number of characters, at least the length of its end, as in "
    "truncate(length=40, end='...')",
    "upper": _OF_TEXT,
    "urlencode": _OF_TEXT,
    "wordwrap": "expected a text and a number of characters, as in wordwrap(width=60)",
}
"""What filters and tests take, where the engine says no more than that it is something else."""

_SIGNS: Final = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
"""Names of tests in ``select`` and the like, and those by which they can be used elsewhere."""

_MOST_INDEXES: Final = 5
_OF_THE_SOURCE: Final = {
    "MissingArgument": "an argument is missing",
    "TooManyArguments": "too many arguments, or one that it does not have",
}


class MissingError(FilterError):
    """The value is undefined, or a none that the template itself created."""


class _Group(Array):
    """A group of ``groupby``: a pair with the names ``grouper`` and ``list``."""

    __slots__ = ()

    grouper = property(lambda self: self[0])
    list = property(lambda self: self[1])


class NullError(MissingError):
    """The value is null, and a text was needed."""


def guarded_filters(*, escapes: bool) -> dict[str, Callable[..., Any]]:
    """Return the filters by their names; they raise a :class:`FilterError`.

    ``escapes`` is whether values are escaped for HTML.
    """
    own = engine(escapes=escapes)
    filters = {name: guarded(own.eval_expr, name, f"value|{name}") for name in _FILTERS}
    # The engine's own gives nothing for what is not text.
    filters["wordwrap"] = guarded(own.eval_expr, "wordwrap", "value|string|wordwrap")
    for name in ("truncate", "wordwrap"):
        filters[name] = graphemes.whole_clusters(filters[name])
    filters["reverse"] = _backwards
    filters["groupby"] = _groups(filters["groupby"])
    filters["pluralize"] = _pluralizing(guarded(own.eval_expr, "pluralize", "value|pluralize"))
    filters["sum"] = _summing(filters["sum"], guarded(own.eval_expr, "sum", "value|map"))
    # The engine's own marks its output, quotes included, as safe to be in attributes.
    filters["tojson"] = to_json
    filters["default"] = filters["d"] = _default
    if escapes:
        filters["join"] = _joining(filters["join"], guarded(_printing(own), "join", "value|join"))
        filters = {name: checked(name, function) for name, function in filters.items()}
    else:
        filters["e"] = filters["escape"] = _as_it_is
    return filters


def guarded_filter(name: str, *, escapes: bool) -> Callable[..., Any]:
    """Return a filter of the engine that needs no guard, for use by one that does."""
    return guarded(engine(escapes=escapes).eval_expr, name, f"value|{name}", is_strict=False)


def guarded_tests() -> dict[str, Callable[..., Any]]:
    """Return the tests by their names; they raise a :class:`FilterError`.

    ``none`` is left, which may ask for what is missing; ``defined`` and ``undefined`` know what the
    engine does not: see :class:`tasks.rendering.values.Null`.
    """
    evaluate = engine(escapes=False).eval_expr
    words = dict(zip(_TESTS, _TESTS, strict=True)) | _SIGNS
    tests = {name: guarded(evaluate, name, f"value is {word}") for name, word in words.items()}
    return tests | {"defined": _is_defined, "undefined": _is_undefined}


def sliced(value: Any = None, *bounds: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return a slice; raise a :class:`MissingError` where the value or a bound is missing."""
    if not all(map(_is_defined, (value, *bounds))):
        raise MissingError("a value is missing")
    return graphemes.sliced(value, *bounds)


def _pluralizing(engine: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, *endings: Any, **named: Any) -> Any:  # noqa: ANN401 - any value of a template
        if len(endings) == 1 and "," in str(endings[0]):
            raise ArgumentError(
                "pluralize: write the endings apart, as in pluralize('y', 'ies'), or plural, "
                "which follows the language"
            )
        if isinstance(value, str):
            as_decimal(value)  # raises for a text that is no number
        return engine(value, *endings, **named)

    return call


def _backwards(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    if value is not MISSING and not _is_defined(value):
        raise MissingError("reverse: a value is missing")
    return graphemes.backwards(value)


def lacks(value: Any) -> bool:  # noqa: ANN401 - any value of a template
    """Return whether a value of a template is undefined or none, or contains such a value.

    What a producer gives holds none: see :mod:`tasks.rendering.values`.
    """
    if value is None or value is MISSING:
        return True
    kind = type(value)
    if kind in {list, tuple}:
        return any(map(lacks, value))
    if kind is dict:
        return any(lacks(key) or lacks(item) for key, item in value.items())
    return False


def engine(*, escapes: bool) -> Environment:
    """Return an environment with the engine's own filters and tests."""
    return Environment(
        debug=False,  # else values are in error messages
        undefined_behavior="strict",
        auto_escape_callback=lambda _name: escapes,
    )


def _printing(engine: Environment) -> Callable[..., Any]:
    """Return what evaluates an expression as a page would print it: escaped, and safe then."""

    def evaluate(expression: str, **given: Any) -> Any:  # noqa: ANN401 - any value of a template
        return safe(engine.render_str(f"{{{{ {expression} }}}}", **given))

    return evaluate


def _joining(plain: Callable[..., Any], printing: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that gives markup where it joins some, and otherwise text."""

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        items = value if isinstance(value, list | tuple) else ()
        has_markup = any(map(is_markup, (*items, *arguments, *keywords.values())))
        return (printing if has_markup else plain)(value, *arguments, **keywords)

    return call


def guarded(
    evaluate: Callable[..., Any], name: str, expression: str, *, is_strict: bool = True
) -> Callable[..., Any]:
    """Return what evaluates an expression of ``value``, and refuses what is missing.

    Without ``is_strict``, missing members and arguments are left to the engine.
    """

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        is_missing = value is None or value is MISSING
        if is_missing or (is_strict and (lacks(value) or lacks(arguments) or lacks(keywords))):
            raise MissingError(f"{name}: a value is missing{missing_at(value)}")
        # Not every filter takes keywords, be there none of them.
        called = (
            f"{expression}(*arguments, **keywords)" if keywords else f"{expression}(*arguments)"
        )
        try:
            result = evaluate(called, value=value, arguments=arguments, keywords=keywords)
        except TemplateError as error:
            message = _OF_THE_SOURCE.get(error.kind)
            if message is not None:
                raise ArgumentError(f"{name}: {message}{_also(name)}") from None
            raise InputError(f"{name}: {_EXPECTED.get(name, _OF_ITEMS)}") from None
        if is_strict and lacks(result):  # a member of an item
            raise MissingError(f"{name}: a value is missing{missing_at(result)}")
        return _unchangeable(result)

    return call


def _also(name: str) -> str:
    return f": {_EXPECTED[name]}" if name in _EXPECTED else ""


def missing_at(value: object) -> str:
    """Return which items of an array are missing, or have a member that is."""
    items = value if isinstance(value, list | tuple) else ()
    missing = (f"[{index}]" for index, item in enumerate(items) if not _is_defined(item))
    shown = ", ".join(islice(missing, _MOST_INDEXES))
    return f" at {shown}" if shown else ""


def _as_it_is(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    if lacks(value):
        raise MissingError("escape: a value is missing")
    return value


def _is_defined(value: Any = None) -> bool:  # noqa: ANN401 - any value of a template
    # A null counts as left out, wherever it is.
    return value is not None and not isinstance(value, Null)


def some(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    """Return a value that has members, or what stands for a missing one, whose are missing too."""
    return value if _is_defined(value) else MISSING


def _is_undefined(value: Any = None) -> bool:  # noqa: ANN401 - any value of a template
    return not _is_defined(value)


def _default(
    value: Any = None,  # noqa: ANN401 - any value of a template
    /,
    default_value: Any = "",  # noqa: ANN401
    boolean: Any = False,  # noqa: ANN401, FBT002
    *others: object,
    **named: object,
) -> Any:  # noqa: ANN401
    if others or named:
        raise ArgumentError(
            "default: expected a value, and optionally true: default('there', true)"
        )
    is_there = bool(value) if boolean else _is_defined(value)
    return _unchangeable(value if is_there else default_value)


def to_json(value: Any = None) -> str:  # noqa: ANN401 - any value of a template
    """Return a value as JSON."""
    if value is None or value is MISSING:
        raise MissingError("tojson: a value is missing")
    # A member that a producer left out is not in its JSON, where null would be something else.
    bare = without_missing({"value": value})
    value = value if bare is None else bare["value"]
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_default)


def _json_default(value: object) -> object:
    if isinstance(value, Exact):
        return value.given
    if isinstance(value, Anything):
        return str(value)  # in a trial or preview
    if not isinstance(value, Null):
        raise TypeError
    return None


def _groups(groupby: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Array:  # noqa: ANN401 - any value of a template
        return Array(map(_Group, groupby(*arguments, **keywords)))

    return call


def _summing(added: Callable[..., Any], mapped: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, attribute: Any = None, start: Any = 0) -> Any:  # noqa: ANN401 - any value of a template
        items = value if attribute is None else list(mapped(value, attribute=attribute))
        return added(items, start=start)

    return call


def _unchangeable(result: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return a result without the methods of Python's lists, which print as addresses."""
    if type(result) in {list, tuple}:
        return Array(map(_unchangeable, result))
    return wrapped(result)
