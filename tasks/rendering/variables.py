"""Values against the variables that a version declares: pure, no I/O.

A declared variable is a mapping as :meth:`tasks.messages.versions.Variable.stored` gives it:
``name`` (a path such as ``user.name`` or ``items[].sku``), ``type``, and if said ``required``,
``default``, ``example``.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tasks.errors import MOST_PROBLEMS, Problem
from tasks.rendering.paths import ITEM, Path, Place, above, steps_of, written, written_place
from tasks.rendering.render_names import RENDER_NAMES
from tasks.rendering.value_types import TYPES, mistyped

Declared = Mapping[str, Any]

_ABSENT: Final = object()


class Bound(NamedTuple):
    """Values ready to render: defaults filled in."""

    values: Mapping[str, Any]
    defaulted: list[str]
    unused: list[str]


class Schema:
    """Schema of a version's variables, prepared once for many binds."""

    def __init__(self, declared: Sequence[Declared]) -> None:
        self.declared = list(declared)
        """The variables, as they were given."""
        every = [(variable, steps_of(variable["name"])) for variable in with_arrays(declared)]
        # An object comes before its members, or its default would take the place of theirs.
        self._declared = sorted(every, key=lambda each: len(each[1]))
        self._tree = _tree(declared)
        self._checks = [(variable["name"], TYPES[variable["type"]][0]) for variable, _ in every]
        self._has_paths = any(len(steps) > 1 for _, steps in every)
        self.decimals = [each["name"] for each in declared if each["type"] == "decimal"]
        """The names of the variables of type ``decimal``."""
        self.markdown = [each["name"] for each in declared if each["type"] == "markdown"]
        """The names of the variables of type ``markdown``."""
        self.optional = omissible(declared)
        """The names of the variables that may be left out and have no default."""

    def bind(self, values: Mapping[str, Any]) -> tuple[Bound, list[Problem]]:
        """Return ``values`` with defaults, and a problem for each that is missing or mistyped.

        A null counts as left out. Values that no variable declares are named in ``Bound.unused``.
        When there are problems, these are reported too, as problems of type ``unknown``: a misspelt
        name is the usual reason for a missing value.
        """
        if self._fits(values):
            unused = [name[:255] for name in values if name not in self._tree]
            return Bound(_without_render_names(values, unused), [], unused), []
        binding = _Binding(values)
        for variable, steps in self._declared:
            for place, value in binding.places(steps):
                binding.bind(variable, place, value)
        unused = list(dict.fromkeys(_undeclared(values, self._tree)))
        if binding.problems:
            binding.problems += [_problem(name, "unknown", "is not declared") for name in unused]
        bound = _without_render_names(binding.bound, unused)
        return Bound(bound, list(binding.defaulted), unused), binding.problems

    def _fits(self, values: Mapping[str, Any]) -> bool:
        """Return whether every variable is given and matches its type, as is usual."""
        if self._has_paths:
            return False
        for name, fits in self._checks:
            if name not in values or not fits(values[name]):
                return False
        return True


@lru_cache(maxsize=256)
def schema_of(encoded: str) -> Schema:
    """Return the schema of declared variables that are a JSON array."""
    return Schema(json.loads(encoded))


class _Binding:
    """Values that are being bound: changed parts are copied first."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._copied: set[Place] = set()
        self._blocked: set[Place] = set()
        self.bound: dict[str, Any] = dict(values)
        self.defaulted: dict[str, None] = {}
        self.problems: list[Problem] = []

    def places(self, steps: Path) -> Iterator[tuple[Place, Any]]:
        """Yield each place of a path with its value, which may be absent.

        One whose parent is not an object or array is a problem instead.
        """
        if ITEM not in steps and len(steps) == 1:
            yield steps, self._values.get(steps[0], _ABSENT)
            return
        nodes: list[tuple[Place, Any]] = [((), self._values)]
        for step in steps:
            nodes = [inner for place, node in nodes for inner in self._step(place, node, step)]
        yield from nodes

    def bind(self, variable: Declared, place: Place, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Check a value, or put its default in its place."""
        if len(self.problems) > MOST_PROBLEMS:
            return
        if value is not _ABSENT and value is not None:
            expected = mistyped(variable["type"], value)
            if expected is not None:
                self._block(place, variable["type"], expected)
        elif variable.get("default") is not None:
            self._parent(place)[place[-1]] = variable["default"]
            self.defaulted[variable["name"]] = None
        elif variable.get("required", True):
            message = "is required" if value is _ABSENT else "is required, null was given"
            self.problems.append(_problem(written_place(place), "missing", message))
        elif value is None and place[-1:] and isinstance(place[-1], str):
            self._parent(place).pop(place[-1], None)

    def _step(self, place: Place, node: Any, step: str) -> list[tuple[Place, Any]]:  # noqa: ANN401 - any JSON value
        if step == ITEM:
            if isinstance(node, list):
                return [((*place, index), item) for index, item in enumerate(node)]
            if node is not _ABSENT and node is not None:
                self._block(place, "array", "expected an array")
            return []
        if node is _ABSENT or node is None:
            return [((*place, step), _ABSENT)]
        if not isinstance(node, Mapping):
            name = written_place(place)
            is_count = step in {"count", "length", "size"} and isinstance(node, list | str)
            length = f": for its length write {{{{ {name} | length }}}}" if is_count else ""
            self._block(place, "object", f"expected an object{length}")
            return []
        return [((*place, step), node.get(step, _ABSENT))]

    def _block(self, place: Place, kind: str, message: str) -> None:
        if place not in self._blocked:
            self._blocked.add(place)
            self.problems.append(_problem(written_place(place), kind, message))

    def _parent(self, place: Place) -> Any:  # noqa: ANN401 - an object or array
        """Return the container of a place; copies it, so that the input stays unchanged."""
        node: Any = self.bound
        for count, step in enumerate(place[:-1], start=1):
            if place[:count] not in self._copied:
                child = node[step] if isinstance(step, int) else node.get(step)
                kind = list if isinstance(place[count], int) else dict
                node[step] = copy.copy(child) if isinstance(child, kind) else kind()
                self._copied.add(place[:count])
            node = node[step]
        return node


def _without_render_names(values: Mapping[str, Any], unused: list[str]) -> Mapping[str, Any]:
    """Return values without undeclared ones that would hide the render's own."""
    hiding = RENDER_NAMES.intersection(unused)
    if not hiding:
        return values
    return {name: value for name, value in values.items() if name not in hiding}


def needed(variable: Declared) -> bool:
    """Return whether a variable must be given: it is required and has no default."""
    return variable.get("required", True) and variable.get("default") is None


def omissible(declared: Sequence[Declared]) -> list[str]:
    """Return the names of the variables that may be left out and have no default."""
    return [
        variable["name"]
        for variable in declared
        if not variable.get("required", True) and variable.get("default") is None
    ]


def with_arrays(declared: Sequence[Declared]) -> list[Declared]:
    """Return variables with the arrays that they imply: ``items`` for ``items[].sku``.

    Such an array must be given if a member of its items must.
    """
    names = {variable["name"] for variable in declared}
    arrays: dict[str, bool] = {}
    for variable in declared:
        steps = steps_of(variable["name"])
        for count in range(1, len(steps)):
            name = written(steps[:count])
            if steps[count] == ITEM and name not in names:
                arrays[name] = arrays.get(name, False) or needed(variable)
    implied = [
        {"name": name, "type": "array", "required": required} for name, required in arrays.items()
    ]
    return [*declared, *implied]


def nested(
    assignments: Mapping[str, Any], otherwise: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return objects for paths: ``{"user.name": 1}`` gives ``{"user": {"name": 1}}``.

    A parent's value comes before its members' and is kept unless it is an object. An array has one
    item if nothing else says how many. ``otherwise`` has values for places that are empty then.
    """
    result: dict[str, Any] = {}
    for names, replaces in ((assignments, True), (otherwise or {}, False)):
        for name in sorted(names, key=steps_of):
            _assign(result, steps_of(name), copy.deepcopy(names[name]), replaces=replaces)
    return result


def _assign(node: Any, steps: Path, value: Any, *, replaces: bool) -> None:  # noqa: ANN401 - any JSON value
    step, rest = steps[0], steps[1:]
    keys: Iterable[Any] = ()
    if step != ITEM and isinstance(node, dict):
        keys = (step,)
        is_empty = step not in node
    elif step == ITEM and isinstance(node, list):
        is_empty = not node
        if is_empty:
            node.append(None)
        keys = range(len(node))
    for key in keys:
        if rest:
            if is_empty:
                node[key] = [] if rest[0] == ITEM else {}
            _assign(node[key], rest, value, replaces=replaces)
        elif replaces or is_empty:
            node[key] = value


def covered(placeholder: str, names: set[str]) -> bool:
    """Return whether a variable of ``names`` declares ``placeholder``.

    ``user`` declares ``user.name``; and ``user.name`` declares ``user``, which the engine reports
    as a placeholder of its own wherever it is used as a whole, in a loop say.
    """
    if not names.isdisjoint((placeholder, *above(placeholder))):
        return True
    below = (f"{placeholder}.", f"{placeholder}[")
    return any(name.startswith(below) for name in names)


def _tree(declared: Sequence[Declared]) -> dict[str, Any]:
    """Return the declared names as nested objects; a leaf (None) covers all below it."""
    tree: dict[str, Any] = {}
    for variable in declared:
        *parents, last = steps_of(variable["name"])
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
        elif tree[key] is not None:
            yield from _undeclared_below(value, tree[key], path)


def _undeclared_below(value: object, tree: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _undeclared(value, tree, f"{path}.")
    elif isinstance(value, list) and tree.get(ITEM) is not None:
        for item in value:
            yield from _undeclared_below(item, tree[ITEM], f"{path}{ITEM}")


def _problem(name: str, kind: str, message: str) -> Problem:
    return {"path": f"variables.{name}", "type": kind, "message": message}
