"""Dependencies between the templates of a folder and their partials. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tasks.errors import Problem
from tasks.rendering.partials import cycle_through, uses
from tasks.rendering.places import placed
from worker.authoring.definition import Definition


class Dependencies:
    """The graph of the templates of a folder and the partials that they use.

    Attributes
    ----------
    uses
        The partials that each template uses itself, in any language, whether the folder has them
        or not.
    """

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self.uses: Mapping[str, Sequence[str]] = {
            each.template_id: sorted(each.uses()) for each in definitions
        }
        users: dict[str, list[str]] = defaultdict(list)
        for name, names in self.uses.items():
            for used in names:
                users[used].append(name)
        self._users: Mapping[str, Sequence[str]] = dict(users)

    def order(self) -> list[list[str]]:
        """Return the templates in groups: each template uses only templates of earlier groups.

        Templates of a cycle, and the templates that use them, are the last group.
        """
        left = {
            name: {each for each in names if each in self.uses} for name, names in self.uses.items()
        }
        groups = []
        while left:
            ready = sorted(name for name, names in left.items() if not names & left.keys())
            group = ready or sorted(left)
            groups.append(group)
            for name in group:
                del left[name]
        return groups

    def reached(self, names: Iterable[str]) -> set[str]:
        """Return templates and all that these use, directly or through others."""
        return _closure(names, self.uses)

    def users(self, names: Iterable[str]) -> set[str]:
        """Return templates and all that use these, directly or through others."""
        return _closure(names, self._users)

    def cycles(self, definition: Definition) -> list[Problem]:
        """Return a problem for each tag through which a template would use itself."""
        name = definition.template_id
        if name not in self.reached(self.uses[name]):
            return []
        problems = []
        for prefix, text in definition.texts():
            for part, source in text._asdict().items():
                for use in () if source is None else uses(source):
                    chain = cycle_through(name, {**self.uses, name: [use.partial or ""]})
                    if chain is not None:
                        message = f"a partial cannot use itself: {' → '.join(chain)}"
                        path = f"{prefix}{part}"
                        problems.append(placed(path, "partial_cycle", message, source, use.start))
        return problems

    def height(self, name: str) -> int:
        """Return the length of the longest chain of users of a template, for the depth limit."""
        height, level = 0, {name}
        while level := {user for each in level for user in self._users.get(each, ())} - {name}:
            height += 1
            if height > len(self.uses):
                break  # a cycle
        return height


def _closure(names: Iterable[str], step: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += step.get(name, ())
    return found
