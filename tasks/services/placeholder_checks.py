"""Placeholders of texts against declared variables, and of translations against the own text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tasks.errors import Problem
from tasks.errors import problem as problem_at
from tasks.messages.variables import is_variable_name
from tasks.rendering.checks.minus import hyphenated
from tasks.rendering.paths import ITEM, steps_of, written
from tasks.rendering.places import place_of, placed
from tasks.rendering.usage.scopes import FUNCTIONS
from tasks.rendering.variables import covered
from tasks.services.candidates import Compiled


def unfit_names(texts: Sequence[Compiled]) -> Iterator[Problem]:
    """Yield a problem for each placeholder whose name no variable may have.

    Left out are those that are reported for their hyphen, with a name to write.
    """
    for compiled in texts:
        for path, source, _ in compiled.candidate.sources():
            names = compiled.placeholders[path] or ()
            for root in sorted({steps_of(name)[0] for name in names} & {*FUNCTIONS}):
                message = f"'{root}' is a function: call it, or declare a variable of that name"
                yield placed(path, "placeholder_name", message, source, place_of(root, source))
            unfit = [place_of(name, source) for name in names if not is_variable_name(name)]
            reported = {each.place for each in hyphenated(source)} if unfit else set()
            for place in unfit:
                if place not in reported:
                    message = "a placeholder is a name such as 'amount' or 'user.name', in ASCII"
                    yield placed(path, "placeholder_name", message, source, place)


def contradictions(declared: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield a problem for each variable whose type has no such members as others declare.

    No value would ever fit both.
    """
    types = {steps_of(each["name"]): each["type"] for each in declared}
    for index, variable in enumerate(declared):
        path = steps_of(variable["name"])
        for end in range(1, len(path)):
            kind = "array" if path[end] == ITEM else "object"
            holder = types.get(path[:end], "any")
            if holder not in {kind, "any"}:
                message = (
                    f"'{written(path[:end])}' is declared as '{holder}', and this makes it an "
                    f"{kind}: declare it as '{kind}', or remove one of the two"
                )
                yield problem_at(f"variables[{index}].name", "contradiction", message)


def minuses(texts: Sequence[Compiled]) -> Iterator[Problem]:
    """Yield a problem for each subtraction that is written like a name."""
    for compiled in texts:
        for path, source, _ in compiled.candidate.sources():
            for each in hyphenated(source):
                yield placed(path, "minus", each.message, source, each.place)


def undeclared(own: Compiled, declared: set[str]) -> Iterator[Problem]:
    """Yield a problem for each placeholder that is not declared."""
    for path, source, _ in own.candidate.sources():
        for name in own.placeholders[path] or ():
            if not covered(name, declared):
                message = f"placeholder '{name}' is not among the declared variables"
                hint = next((each for each in hyphenated(source) if each.name == name), None)
                if hint is not None:
                    message += f"; {hint.message}"
                yield placed(path, "undeclared", message, source, place_of(name, source))


def differences(own: Compiled, other: Compiled) -> Iterator[Problem]:
    """Yield a problem for each placeholder that only one of two texts has."""
    if not (own.compiles() and other.compiles()):
        return
    candidate = other.candidate
    language, path = candidate.text["language"], f"{candidate.prefix}body"
    mine, its = own.names(own), other.names(own)
    for name in sorted(mine - its):
        message = f"placeholder '{name}' of the version's own text is missing in '{language}'"
        yield problem_at(path, "lost", message)
    for name in sorted(its - mine):
        message = f"placeholder '{name}' in '{language}' is not in the version's own text"
        where = ((at, source, place_of(name, source)) for at, source, _ in candidate.sources())
        at, source, place = next((each for each in where if each[2] is not None), (path, "", None))
        yield placed(at, "added", message, source, place)


def added_members(other: Compiled, names: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each member of items that only a translation uses, without a default."""
    candidate = other.candidate
    language = candidate.text["language"]
    for name in sorted(names):
        message = (
            f"'{name}' in '{language}' is not in the version's own text: no value is asked for; "
            "declare it as a variable of the version, or write a default"
        )
        yield problem_at(f"{candidate.prefix}body", "added", message)
