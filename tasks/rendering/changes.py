"""Breaking changes between two lists of declared variables: pure, no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tasks.errors import Problem
from tasks.rendering.partials import every_block
from tasks.rendering.paths import ITEM, above, holders
from tasks.rendering.variables import Declared, needed, with_arrays


def removed_blocks(before: str, after: str) -> list[Problem]:
    """Return a problem for each block of a partial's body that is gone: its text would be lost."""
    return [
        {"path": "body", "type": "block_gone", "message": f"block '{name}' is gone"}
        for name in sorted(every_block(before) - every_block(after))
    ]


def breaking_changes(before: Sequence[Declared], after: Sequence[Declared]) -> list[Problem]:
    """Return what ``after`` could refuse a producer for whose values match ``before``.

    The producer is taken to send nothing that ``before`` does not declare; it may leave out what
    ``before`` does not need. With no problem returned here, :meth:`.variables.Schema.bind` refuses
    none of its messages. A variable of ``after`` is a problem, of type

    ``now_required``
        when it is needed, that is required and without a default, and was not: neither it nor a
        member of it;
    ``type_changed``
        when its type changed and is not ``any``. A wider type counts too, for a
        source may use a number in other ways than an integer;
    ``type_changed``
        when it was not declared itself, but could be given as a member of a variable that was
        (``user.name`` where ``user`` was declared) or as an object of such members (``user``
        where ``user.name`` was), and not every possible value matches its type.

    Members of items (``items[].sku``) are compared once a version has declared some: an array that
    was of any type could hold anything, and a source that uses a member of its items does so since.

    Returns
    -------
        Problems in the order of ``path``, which is ``variables.`` and the name; ``message`` says
        from what to what.
    """
    declared = {variable["name"]: variable for variable in with_arrays(before)}
    objects = {path for name in declared for path in above(name)}
    sure = {
        path
        for name, variable in declared.items()
        if needed(variable)
        for path in (name, *_implied(name))
    }
    problems: list[Problem] = []
    for variable in with_arrays(after):
        if _is_first_of_items(variable, declared, objects):
            continue
        name, kind = variable["name"], variable["type"]
        earlier = declared.get(name)
        is_new = needed(variable) and name not in sure
        if is_new:
            problems.append(_problem(name, "now_required", f"{_need(earlier)} now"))
        if earlier is not None:
            change = _retyped(f"of type '{earlier['type']}'", earlier["type"], kind)
        elif name in objects:
            change = _retyped("an object, for its members", "object", kind)
        elif is_new:
            # Who begins to send it reads its type.
            change = None
        else:
            change = _narrowed(name, kind, declared, objects)
        if change is not None:
            problems.append(_problem(name, "type_changed", f"{change} now"))
    return sorted(problems, key=lambda problem: (problem["path"], problem["type"]))


def _implied(name: str) -> Iterator[str]:
    """Yield the paths above a path that are given whenever it is; not the array of an item."""
    for path in above(name):
        if name.startswith(f"{path}{ITEM}"):
            return
        yield path


def _is_first_of_items(
    variable: Declared, declared: Mapping[str, Declared], objects: set[str]
) -> bool:
    """Return whether a variable declares something new about items.

    What an array of any type holds was never checked, and is read off the sources since.
    """
    name = variable["name"]
    array = next((path for path in holders(name) if name.startswith(f"{path}{ITEM}")), None)
    earlier = declared.get(array or "")
    return (
        earlier is not None
        and earlier["type"] == variable["type"] == "any"
        and f"{array}{ITEM}" not in objects
    )


def _need(earlier: Declared | None) -> str:
    if earlier is None:
        return "was not declared, is required"
    if earlier.get("default") is None:
        return "was optional, is required"
    return "had a default, is required without one"


def _retyped(was: str, former: str, kind: str) -> str | None:
    return None if kind in {former, "any"} else f"was {was}, is of type '{kind}'"


def _narrowed(
    name: str, kind: str, declared: Mapping[str, Declared], objects: set[str]
) -> str | None:
    """Return the narrower declarations of a value that only variables above it declared."""
    parents = above(name)
    cover = next((path for path in parents if path in declared), None)
    if cover is None:
        return None
    parent = parents[0]
    if parent not in objects and (parent != cover or declared[cover]["type"] != "object"):
        was = f"of type '{declared[cover]['type']}'"
        return f"was covered by '{cover}' {was}, needs '{parent}' to be an object"
    if kind != "any":
        return f"was covered by '{cover}' and of any type, is of type '{kind}'"
    return None


def _problem(name: str, kind: Literal["now_required", "type_changed"], message: str) -> Problem:
    return {"path": f"variables.{name}", "type": kind, "message": message}
