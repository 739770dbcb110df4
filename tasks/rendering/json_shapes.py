"""Trial renders of JSON bodies: whether they are JSON for every shape of their values.

A comma too many shows with no item or two, a missing one with an optional value left out. So a
body is rendered with each of these by itself, and with all but it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from tasks.errors import Code, Problem
from tasks.rendering.explain import SourceError
from tasks.rendering.samples import Anything
from tasks.rendering.variables import Declared

MOST_SHAPES: Final = 64


class Values(Protocol):
    """Makes sample values; see :mod:`tasks.rendering.trial`."""

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
    """Return the first problem of a body that is not JSON with one of the shapes of its values."""
    for shape, stand_in in islice(_shapes(declared), MOST_SHAPES):
        try:
            render(values(shape, stand_in, leave_out=False))
        except SourceError as error:
            # The values are made up: only that the output is no JSON is the source's fault.
            if error.code is Code.TEMPLATE_SYNTAX:
                return [error.problem]
    return []


def _shapes(declared: Sequence[Declared]) -> Iterator[tuple[list[Declared], Any]]:
    every = list(declared)
    for length in (0, 1, 2):
        yield _with_length(every, length), Anything(length=length)
    for index, variable in enumerate(every):
        others = [*every[:index], *every[index + 1 :]]
        if variable["type"] == "boolean":
            for length in (0, 1):
                yield [*_with_length(others, length), _example(variable, not length)], Anything()
                yield [*_flipped(others, not length), _example(variable, bool(length))], Anything()
        if not variable.get("required", True) and variable.get("default") is None:
            yield others, Anything()
            left = [other for other in others if other.get("required", True)]
            yield [*left, variable], Anything()
        if variable["type"] == "array":
            for length in (0, 2):
                yield [*others, *_with_length([variable], length)], Anything()


def _flipped(declared: Sequence[Declared], value: bool) -> list[Declared]:  # noqa: FBT001 - the value itself
    return [_example(each, value) if each["type"] == "boolean" else each for each in declared]


def _with_length(declared: Sequence[Declared], length: int) -> list[Declared]:
    result = []
    for variable in declared:
        if variable["type"] != "array":
            result.append(variable)
            continue
        example = variable.get("example") or variable.get("default") or [Anything(length=length)]
        result.append(_example(variable, (list(example) * length)[:length]))
    return result


def _example(variable: Declared, value: object) -> Declared:
    return {**variable, "example": value}
