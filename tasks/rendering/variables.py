"""Values against the variables that a version declares: pure, no I/O.

A declared variable is a mapping as :meth:`tasks.messages.versions.Variable.stored` gives it:
``name`` (a path such as ``user.name``), ``type``, and if said ``required``, ``default``,
``example``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from tasks.errors import Problem
from tasks.rendering.texts import RENDER_NAMES

Declared = Mapping[str, Any]

URL_SCHEMES = ("http", "https", "mailto", "tel", "sms")
# RFC 5321, section 4.5.3.1: local part and domain; no spaces, no controls. Whether it receives
# mail is for the delivery service to find out.
_EMAIL = re.compile(r"[^\s@<>\x00-\x1f\x7f]{1,64}@[^\s@<>\x00-\x1f\x7f]{1,255}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_BLANK = re.compile("[\x00-\x20]")
_ABSENT: Final = object()


class Bound(NamedTuple):
    """Values ready to render: defaults filled in."""

    values: Mapping[str, Any]
    defaulted: list[str]
    unused: list[str]


class Schema:
    """Schema of a version's variables, prepared once for many binds."""

    def __init__(self, declared: Sequence[Declared]) -> None:
        # An object comes before its members, or its default would take the place of theirs.
        self._declared = sorted(declared, key=lambda variable: variable["name"].count("."))
        self._tree = _tree(declared)
        self._checks = [(variable["name"], _TYPES[variable["type"]][0]) for variable in declared]
        self._has_paths = any("." in name for name, _ in self._checks)

    def bind(self, values: Mapping[str, Any]) -> tuple[Bound, list[Problem]]:
        """Return ``values`` with defaults, and a problem for each that is missing or mistyped.

        A null counts as left out. Values that no variable declares are named in ``Bound.unused``.
        When there are problems, these are reported too, as problems of type ``unknown``: a misspelt
        name is the usual reason for a missing value.
        """
        if self._fits(values):
            unused = [name[:255] for name in values if name not in self._tree]
            return Bound(_without_render_names(values, unused), [], unused), []
        bound: dict[str, Any] = dict(values)
        copied: set[str] = set()
        defaulted: list[str] = []
        problems: list[Problem] = []
        for variable in self._declared:
            name = variable["name"]
            given, blocked = _look_up(values, name)
            if blocked is not None:
                problems.append(_problem(blocked, "object", "expected an object"))
            elif given is not _ABSENT and given is not None:
                expected = mistyped(variable["type"], given)
                if expected is not None:
                    problems.append(_problem(name, variable["type"], expected))
            elif variable.get("default") is not None:
                _put(bound, name, variable["default"], copied)
                defaulted.append(name)
            elif variable.get("required", True):
                message = "is required" if given is _ABSENT else "is required, null was given"
                problems.append(_problem(name, "missing", message))
            elif given is None:
                _remove(bound, name, copied)
        unused = list(_undeclared(values, self._tree))
        if problems:
            problems += [_problem(name, "unknown", "is not declared") for name in unused]
        return Bound(_without_render_names(bound, unused), defaulted, unused), problems

    def _fits(self, values: Mapping[str, Any]) -> bool:
        """Tell whether every variable is given and matches its type, as is usual."""
        if self._has_paths:
            return False
        for name, fits in self._checks:
            if name not in values or not fits(values[name]):
                return False
        return True


def bind(declared: Sequence[Declared], values: Mapping[str, Any]) -> tuple[Bound, list[Problem]]:
    """Return what :meth:`Schema.bind` does, for values that are bound once."""
    return Schema(declared).bind(values)


def _without_render_names(values: Mapping[str, Any], unused: list[str]) -> Mapping[str, Any]:
    """Return values without those that nobody declared and that would hide the render's own."""
    hiding = RENDER_NAMES.intersection(unused)
    if not hiding:
        return values
    return {name: value for name, value in values.items() if name not in hiding}


def needed(variable: Declared) -> bool:
    """Tell whether a variable must be given: it is required and has no default."""
    return variable.get("required", True) and variable.get("default") is None


def mistyped(kind: str, value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return what a value of type ``kind`` must be, or None when ``value`` is of that type."""
    fits, expected = _TYPES[kind]
    return None if fits(value) else expected


def nested(assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Return objects for paths: ``{"user.name": 1}`` gives ``{"user": {"name": 1}}``.

    Of a path and its parent the parent comes first and is kept where it is no object.
    """
    result: dict[str, Any] = {}
    for name in sorted(assignments):
        *parents, last = name.split(".")
        node: Any = result
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                break
        else:
            node[last] = assignments[name]
    return result


def above(name: str) -> list[str]:
    """Return the paths above a path, the nearest first: ``a.b.c`` gives ``a.b`` and ``a``."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def covered(placeholder: str, names: set[str]) -> bool:
    """Tell whether a variable of ``names`` declares ``placeholder``.

    ``user`` declares ``user.name``; and ``user.name`` declares ``user``, which the engine reports
    as a placeholder of its own wherever it is used as a whole, in a loop say.
    """
    parts = placeholder.split(".")
    if any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1)):
        return True
    return any(name.startswith(f"{placeholder}.") for name in names)


def _look_up(values: Mapping[str, Any], name: str) -> tuple[Any, str | None]:
    """Return the value at ``name``, or the path above it that holds no object."""
    if "." not in name:
        return values.get(name, _ABSENT), None
    node: Any = values
    walked = ""
    for part in name.split("."):
        if node is None:
            return _ABSENT, None
        if not isinstance(node, Mapping):
            return _ABSENT, walked
        node = node.get(part, _ABSENT)
        if node is _ABSENT:
            return _ABSENT, None
        walked = f"{walked}.{part}" if walked else part
    return node, None


def _parent(bound: dict[str, Any], name: str, copied: set[str]) -> dict[str, Any]:
    """Return the object that holds ``name``, copied on the way so that the input stays as it is."""
    node = bound
    path = ""
    for part in name.split(".")[:-1]:
        path = f"{path}.{part}"
        if path not in copied:
            child = node.get(part)
            node[part] = dict(child) if isinstance(child, Mapping) else {}
            copied.add(path)
        node = node[part]
    return node


def _put(bound: dict[str, Any], name: str, value: Any, copied: set[str]) -> None:  # noqa: ANN401 - any JSON value
    _parent(bound, name, copied)[name.rpartition(".")[2]] = value


def _remove(bound: dict[str, Any], name: str, copied: set[str]) -> None:
    _parent(bound, name, copied).pop(name.rpartition(".")[2], None)


def _tree(declared: Sequence[Declared]) -> dict[str, Any]:
    """Return the declared names as nested objects; a leaf (None) covers all below it."""
    tree: dict[str, Any] = {}
    for variable in declared:
        *parents, last = variable["name"].split(".")
        node: dict[str, Any] | None = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if node is not None else None
        if node is not None:
            node[last] = None
    return tree


def _undeclared(
    values: Mapping[str, Any], tree: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if key not in tree:
            yield path[:255]
        elif tree[key] is not None and isinstance(value, Mapping):
            yield from _undeclared(value, tree[key], f"{path}.")


def _problem(name: str, kind: str, message: str) -> Problem:
    return {"path": f"variables.{name}", "type": kind, "message": message}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_datetime(value: object) -> bool:
    if not isinstance(value, str) or _DATE.match(value) is None or len(value) < len("2026-01-31T0"):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or _BLANK.search(value) is not None:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    needs_host = parts.scheme in {"http", "https"}
    return parts.scheme in URL_SCHEMES and bool(parts.netloc if needs_host else parts.path)


def _is_email(value: object) -> bool:
    return isinstance(value, str) and _EMAIL.fullmatch(value) is not None


def _is_array(value: object) -> bool:
    return isinstance(value, list)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_anything(value: object) -> bool:
    return value is not None


_TYPES: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "string": (_is_text, "expected text"),
    "integer": (_is_integer, "expected a whole number"),
    "number": (_is_number, "expected a number"),
    "boolean": (_is_boolean, "expected true or false"),
    "date": (_is_date, "expected a date: YYYY-MM-DD (ISO 8601)"),
    "datetime": (
        _is_datetime,
        "expected a date and time: YYYY-MM-DDThh:mm:ss and an offset (RFC 3339)",
    ),
    "url": (_is_url, f"expected a URL that begins with one of {', '.join(URL_SCHEMES)}"),
    "email": (_is_email, "expected an e-mail address"),
    "array": (_is_array, "expected an array"),
    "object": (_is_object, "expected an object"),
    "any": (_is_anything, "expected a value"),
}
