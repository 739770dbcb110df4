"""Values of a render as the engine gets them: JSON that templates can read and nothing else.

The engine lets templates call the public methods of Python objects and prints what it is given.
So objects and arrays come without the methods that change them, null cannot be printed, and whole
numbers that the engine would round come as text.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NoReturn

import orjson

from tasks.rendering.frames import has_long_number
from tasks.rendering.numbers import whole
from tasks.rendering.paths import ITEM, Path
from tasks.rendering.tags import tags


class Unprintable:
    """Something that must not become text; remembers that it was about to.

    The engine swallows what Python raises while it prints, so that a flag has to do.
    """

    printed: bool = False
    __slots__ = ()

    def __str__(self) -> str:
        """Return nothing, and remember it."""
        Unprintable.printed = True
        return ""

    __repr__ = __str__


class Null(Unprintable):
    """JSON's null: false, and never printed."""

    __slots__ = ()

    def __bool__(self) -> bool:
        """Be false in conditions."""
        return False


NULL: Final = Null()


class Missing(Null):
    """The value of an optional variable that is left out; the engine has no such value.

    To the engine, a member of an undefined value is a mistake. Here every member of a missing
    object is missing too, so that ``{{ user.name | default("?") }}`` needs no ``user``.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> "Missing":
        """Return itself for every member."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> "Missing":
        """Return itself for every item."""
        return self

    def __iter__(self) -> "Iterator[Missing]":
        """Yield nothing: without this, its items would have no end."""
        return iter(())

    def __call__(self, *_: object, **__: object) -> "Missing":
        """Return itself: a method of a missing value gives a missing value."""
        return self


MISSING: Final = Missing()


def left_out(values: dict[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return values with :data:`MISSING` where optional ones are not given.

    It is at the first step that is not there; a null counts as left out.
    """
    for path in paths:
        _leave_out(values, path)
    return values


def without_missing(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return values without what :func:`left_out` put in, or None where it did not."""
    if not any(_holds_missing(value) for value in values.values()):
        return None
    bare: dict[str, Any] = _without_missing(dict(values))
    return bare


def _holds_missing(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_missing, dict.values(value)))
    return any(map(_holds_missing, value)) if isinstance(value, list) else value is MISSING


def _without_missing(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return type(value)(
            {key: _without_missing(item) for key, item in dict.items(value) if item is not MISSING}
        )
    return type(value)(map(_without_missing, value)) if isinstance(value, list) else value


def _leave_out(node: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
    if not path:
        return
    step, rest = path[0], path[1:]
    if step == ITEM:
        for item in node if isinstance(node, list) else ():
            _leave_out(item, rest)
    elif isinstance(node, dict):
        value = dict.get(node, step)
        if value is None or value is NULL:
            dict.__setitem__(node, step, MISSING)
        else:
            _leave_out(value, rest)


class _Call(Unprintable, partial[Any]):
    """A method of an object, to be called and never printed."""

    __slots__ = ()


def _offered(method: Callable[..., Any]) -> Any:  # noqa: ANN401 - instead of a method
    """Return a method of ``dict`` that templates may call.

    The engine reads ``items`` with each access to a member, so no Python frame is involved.
    """
    return property(partial(_Call, method))


class _Hidden:
    """A method that templates do not see."""

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError


def _member(value: dict[str, Any], key: str, default: Any = NULL) -> Any:  # noqa: ANN401 - any JSON value
    """Return a member, or the default for one that is left out, as which null counts."""
    member = dict.get(value, key, NULL)
    return default if isinstance(member, Null) else member


class Object(dict[str, Any]):
    """A JSON object that cannot be changed by a template."""

    __slots__ = ()

    get = _offered(_member)
    items = _offered(lambda self: [(key, value) for key, value in dict.items(self)])
    keys = _offered(lambda self: list(dict.keys(self)))
    values = _offered(lambda self: list(dict.values(self)))
    clear = copy = fromkeys = pop = popitem = setdefault = update = _Hidden()


class Array(list[Any]):
    """A JSON array that cannot be changed by a template."""

    __slots__ = ()

    append = clear = copy = count = extend = index = insert = pop = remove = reverse = sort = (
        _Hidden()
    )


def decode(payload: bytes, *, plain: bool = False) -> dict[str, Any]:
    """Return the values of a JSON object in UTF-8, safe to give to the engine.

    With ``plain`` they are Python's own objects and arrays, which the engine reads in half the
    time; only for sources for which :func:`reaches_methods` is false.
    """
    values: dict[str, Any]
    if has_long_number(payload):
        values = json.loads(payload, parse_int=whole)
    else:
        values = orjson.loads(payload)
    if plain and b"null" not in payload:
        return values
    return {
        name: value if type(value) in _SAFE else wrapped(value) for name, value in values.items()
    }


def reaches_methods(source: str) -> bool:
    """Return whether a source may call methods of the objects and arrays among its values.

    By a name after a dot, or by one that it makes up: a subscript, or an attribute's name that is
    handed to a filter.
    """
    return any(_REACHING.search(tag.inner) is not None for tag in tags(source))


def wrapped(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with safe objects, arrays and nulls."""
    kind = type(value)
    # Most values are of these, and a call for each would be most of the work.
    if kind is dict:
        return Object(
            {key: item if type(item) in _SAFE else wrapped(item) for key, item in value.items()}
        )
    if kind is list:
        return Array([item if type(item) in _SAFE else wrapped(item) for item in value])
    if kind is int:
        return whole(value)
    return NULL if value is None else value


_METHODS: Final = "|".join(name for name in {*dir(dict), *dir(list)} if not name.startswith("_"))
_REACHING: Final = re.compile(
    rf"\.\s*(?:{_METHODS})\b|\[|attr|\|\s*(?:groupby|map|max|min|sort|sum|unique)\b"
)
_SAFE: Final = frozenset({bool, float, int, str})
