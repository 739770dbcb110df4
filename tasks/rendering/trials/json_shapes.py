"""Trial renders of JSON bodies: whether they are JSON for every shape of their values.

A comma too many shows with no item or two, a missing one with an optional value left out. So a
body is rendered with each of these by itself, and with all but it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from tasks.errors import Code, Problem
from tasks.rendering.explain import SourceError
from tasks.rendering.paths import ITEM
from tasks.rendering.samples import Anything, OpenObject
from tasks.rendering.variables import Declared, with_arrays

MOST_SHAPES: Final = 64


class Values(Protocol):
    """Makes sample values; see :mod:`tasks.rendering.trials.trial`."""

    def __call__(
        self,
        declared: Sequence[Declared],
        stand_in: Any,  # noqa: ANN401 - whatever stands for an undeclared shape
        *,
        leave_out: bool,
    ) -> dict[str, Any]:
        """Return a value for each variable."""


def json_problems(
    render: Callable[[Mapping[str, Any]], None], declared: Sequence[Declared], values: Values
) -> list[Problem]:
    """Return the first problem of a body that, for some shape of its values, is not JSON."""
    for shape, stand_in in islice(_shapes(declared), MOST_SHAPES):
        try:
            render(values(shape, stand_in, leave_out=False))
        except SourceError as error:
            # The values are made up: only that the output is not JSON is the source's fault.
            if error.code is Code.TEMPLATE_SYNTAX:
                return [error.problem]
    return []


def _shapes(declared: Sequence[Declared]) -> Iterator[tuple[list[Declared], Any]]:
    every = _with_items(with_arrays(declared))
    arrays = [variable["name"] for variable in every if variable["type"] == "array"]
    for length in (0, 1, 2):
        yield _with_length(every, arrays, length), Anything(length=length)
    for index, variable in enumerate(every):
        others = [*every[:index], *every[index + 1 :]]
        if variable["type"] == "boolean":
            for length in (0, 1):
                sized = _with_length(others, arrays, length)
                yield [*sized, _example(variable, not length)], Anything()
                yield [*_flipped(others, not length), _example(variable, bool(length))], Anything()
        if not variable.get("required", True) and variable.get("default") is None:
            yield _outside(others, [variable["name"]]), Anything()
            left = [other for other in others if other.get("required", True)]
            yield [*left, variable], Anything()
        if variable["type"] == "array":
            for length in (0, 2):
                yield _with_length(every, [variable["name"]], length), Anything()


def _flipped(declared: Sequence[Declared], value: bool) -> list[Declared]:  # noqa: FBT001 - the value itself
    return [_example(each, value) if each["type"] == "boolean" else each for each in declared]


def _with_items(declared: Sequence[Declared]) -> list[Declared]:
    """Return variables whose arrays have an item, if members of their items are declared."""
    names = [variable["name"] for variable in declared]
    return [
        _example(variable, variable.get("example") or variable.get("default") or [OpenObject()])
        if any(name.startswith(f"{variable['name']}{ITEM}") for name in names)
        else variable
        for variable in declared
    ]


def _with_length(
    declared: Sequence[Declared], arrays: Sequence[str], length: int
) -> list[Declared]:
    """Return variables of which ``arrays`` have so many items."""
    result: list[Declared] = []
    for variable in declared if length else _outside(declared, arrays):
        if variable["name"] not in arrays:
            result.append(variable)
            continue
        example = variable.get("example") or variable.get("default") or [Anything(length=length)]
        result.append(_example(variable, (list(example) * length)[:length]))
    return result


def _outside(declared: Sequence[Declared], arrays: Sequence[str]) -> list[Declared]:
    """Return variables, except members of items of ``arrays``, which are empty."""
    inside = tuple(f"{name}{ITEM}" for name in arrays)
    return [variable for variable in declared if not variable["name"].startswith(inside)]


def _example(variable: Declared, value: object) -> Declared:
    return {**variable, "example": value}
