"""The publish gate: what must hold of the texts of a version before anything is stored."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tasks.errors import (
    MOST_PROBLEMS,
    PlaceholderMismatch,
    Problem,
    RenderLimitExceeded,
    ServiceError,
    TemplateSyntax,
    TooLarge,
    VariablesInvalid,
)
from tasks.messages.versions import MOST_VARIABLES, Variable, is_variable_name
from tasks.rendering.client import Renderer
from tasks.rendering.outputs import is_html
from tasks.rendering.partials import blocks_of, cycle_through, depth, every_block, partials_of, uses
from tasks.rendering.places import place_of, placed
from tasks.rendering.texts import Part, Text
from tasks.rendering.variables import Declared, above, covered, mistyped
from tasks.services.partials import Library, Needs

Stored = list[dict[str, Any]]
PARTS: tuple[Part, ...] = ("subject", "body")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that is to be stored.

    ``prefix`` leads to it in the message: empty for a version's own text, else
    ``translations.fr.``. ``has_subject`` is false for a translation that takes the version's.
    """

    prefix: str
    text: Text
    has_subject: bool = True

    def sources(self) -> Iterator[tuple[str, str, bool]]:
        """Yield path, source and whether it is HTML, of each source of its own."""
        for part in PARTS:
            source = self.text[part]
            if source is not None and (part == "body" or self.has_subject):
                is_markup = part == "body" and is_html(self.text["type"])
                yield f"{self.prefix}{part}", source, is_markup


@dataclass(frozen=True, slots=True)
class Place:
    """Where the template stands among partials.

    ``template_id`` is None for a preview. ``height`` is over how many steps other templates use it.
    """

    template_id: str | None
    height: int
    limit: int

    def require_room(self, below: int, path: str) -> None:
        """Make sure that there may be so many partials below the template.

        Raises
        ------
        TooLarge
            With those above it they are too many; ``path`` is the place in the message.
        """
        size = self.height + below
        if size > self.limit:
            told = f"partials are nested {size} deep, the limit is {self.limit}"
            raise TooLarge.of(told, [{"path": path, "type": "too_large", "message": told}])


class Gate:
    """Looks at the texts of one version.

    Parameters
    ----------
    renderer
        Compiles and renders them.
    library
        The partials that they name.
    place
        The template that they belong to.
    deadline
        By ``time.monotonic()``, in seconds: when the trial renders must have begun.
    """

    def __init__(self, renderer: Renderer, library: Library, place: Place, deadline: float) -> None:
        self._renderer = renderer
        self._library = library
        self._place = place
        self._deadline = deadline
        self._needs = library.needs(self._asked)

    def check(
        self,
        own: Candidate,
        translations: Sequence[Candidate],
        declared: Sequence[Variable] | None,
        *,
        own_is_new: bool = True,
    ) -> Stored:
        """Return the variables to store with a version: ``declared``, or those of its own text.

        Parameters
        ----------
        own
            The version's own text.
        translations
            Others, which must have the same placeholders.
        declared
            The variables; None has them inferred.
        own_is_new
            False where the version's own text is stored, and only to be compared with.

        Raises
        ------
        TemplateSyntax
            A source does not compile, uses what is not offered, or its trial render fails.
        PlaceholderMismatch
            A placeholder is not declared, or a translation has others than the version.
        VariablesInvalid
            A default or an example is not of its variable's type.
        TooLarge
            Partials are nested too deeply.
        RenderLimitExceeded
            A trial render went over a limit.
        """
        new = [own, *translations] if own_is_new else list(translations)
        self._check_depth(new)
        found = self._placeholders([own, *translations])
        broken = [*_first(self._partial_problems(new)), *found.problems_of(new)]
        values = list(_wrong_values(declared or ()))
        if declared is None:
            undeclared: list[Problem] = []
            broken += _first(_unfit_names([own, *translations], found))
            variables = [] if broken else self._inferred(own, translations, found)
        else:
            variables = [variable.stored() for variable in declared]
            names = {variable.name for variable in declared}
            undeclared = _first(_undeclared(own, found, names)) if own_is_new else []
        unequal = _first(
            problem for other in translations for problem in _differences(own, other, found)
        )
        _raise_all(broken, values, [*undeclared, *unequal])
        self._try_out(new, variables)
        return variables

    def fits(self, own: Candidate, other: Candidate, variables: Stored) -> bool:
        """Tell whether a translation of an earlier version can be taken over by a new one."""
        found = self._placeholders([own, other])
        problems = [*found.problems_of([other]), *self._partial_problems([other])]
        if problems or list(_differences(own, other, found)):
            return False
        declared = self._with_partials(variables)
        try:
            fits = not self._renderer.try_out(other.text, declared, self._deadline)
        except RenderLimitExceeded:
            fits = False
        if time.monotonic() > self._deadline:
            # Perhaps it would fit: it must not be dropped for want of time.
            told = "there was no time left for all trial renders"
            raise RenderLimitExceeded.of(told, [{"path": "", "type": "limit", "message": told}])
        return fits

    def _placeholders(self, texts: Sequence[Candidate]) -> "_Found":
        sources = [
            {"path": path, "source": source, "html": html}
            for candidate in texts
            for path, source, html in candidate.sources()
        ]
        return _Found(*self._renderer.inspect(sources, _names(self._needs), self._deadline))

    def _asked(self, source: str, needs: Needs) -> Sequence[str]:
        sources = [{"path": "body", "source": source, "html": False}]
        placeholders, _ = self._renderer.inspect(sources, _names(needs), self._deadline)
        return placeholders["body"] or ()

    def _check_depth(self, new: Sequence[Candidate]) -> None:
        names = partials_of(source for text in new for _, source, _ in text.sources())
        if self._cycle(names) is None:
            self._place.require_room(depth(names, self._library.uses), "body")

    def _cycle(self, names: Iterable[str]) -> list[str] | None:
        name = self._place.template_id
        if name is None:
            return None
        return cycle_through(name, {**self._library.uses, name: sorted(names)})

    def _partial_problems(self, new: Sequence[Candidate]) -> Iterator[Problem]:
        for candidate in new:
            for path, source, _ in candidate.sources():
                yield from self._use_problems(path, source)
                yield from self._block_problems(path, source)

    def _use_problems(self, path: str, source: str) -> Iterator[Problem]:
        for use in uses(source):
            if use.partial is None:
                continue  # the inspection tells of it
            cycle = self._cycle([use.partial])
            if cycle is not None:
                told = f"a partial cannot use itself: {' → '.join(cycle)}"
                yield placed(path, "partial_cycle", told, source, use.start)
            elif use.partial not in self._library:
                told = f"there is no active partial '{use.partial[:255]}' with a version"
                yield placed(path, "partial_not_found", told, source, use.start)

    def _block_problems(self, path: str, source: str) -> Iterator[Problem]:
        """Yield a problem for each block that no layout shows, and whose words would be lost."""
        layouts = list(self._layouts(source))
        if not layouts:
            return
        known = {block for layout in layouts for block in every_block(layout)}
        for block, start in blocks_of(source).items():
            if block not in known:
                told = f"no layout has a block '{block}'; they have: {', '.join(sorted(known))}"
                yield placed(path, "unknown_block", told, source, start)

    def _layouts(self, source: str) -> Iterator[str]:
        seen: set[str] = set()
        while True:
            name = next((use.partial for use in uses(source) if use.is_layout), None)
            if name is None or name in seen or name not in self._library:
                return
            seen.add(name)
            source = self._library.body(name)
            yield source

    def _inferred(
        self, own: Candidate, translations: Sequence[Candidate], found: "_Found"
    ) -> Stored:
        every = {name for text in (own, *translations) for name in found.names(text, own)}
        # "user" says all that "user.name" does.
        names = sorted(name for name in every if every.isdisjoint(above(name)))
        if len(names) > MOST_VARIABLES:
            told = f"the sources use {len(names)} placeholders, the limit is {MOST_VARIABLES}"
            raise TooLarge.of(told, [{"path": "body", "type": "too_large", "message": told}])
        texts = [own.text, *(translation.text for translation in translations)]
        # Without values for what only partials use, none would render, and nothing be optional.
        others = [variable["name"] for variable in self._library.undeclared(names)]
        optional = (
            set(self._renderer.optional(texts, [*names, *others], self._deadline))
            if names
            else set()
        )
        declared: dict[str, Declared] = {}
        for used in partials_of(source for _, source, _ in own.sources()):
            declared = {**self._needs[used], **declared}
        return [
            dict(declared[name])
            if name in declared
            else Variable(name=name, required=name not in optional).stored()
            for name in names
        ]

    def _try_out(self, new: Sequence[Candidate], variables: Stored) -> None:
        declared = self._with_partials(variables)
        problems: list[Problem] = []
        for candidate in new:
            text = candidate.text
            if not candidate.has_subject:
                text = Text(**{**text, "subject": None})
            for problem in self._renderer.try_out(text, declared, self._deadline):
                problems.append(problem | {"path": f"{candidate.prefix}{problem['path']}"})
                if problem["type"] == "limit":
                    raise RenderLimitExceeded.of("a trial render went over a limit", problems)
        if problems:
            raise TemplateSyntax.of("a trial render failed", problems)

    def _with_partials(self, variables: Stored) -> list[Declared]:
        names = [variable["name"] for variable in variables]
        return [*variables, *self._library.undeclared(names)]


@dataclass(frozen=True, slots=True)
class _Found:
    """The placeholders of each path, None where a source does not compile, and what is wrong."""

    placeholders: Mapping[str, Sequence[str] | None]
    problems: list[Problem]

    def names(self, candidate: Candidate, own: Candidate) -> set[str]:
        """Return the placeholders of subject and body together."""
        paths = [path for path, _, _ in candidate.sources()]
        if not candidate.has_subject:
            paths.append(f"{own.prefix}subject")
        return {name for path in paths for name in self.placeholders.get(path) or ()}

    def compiles(self, candidate: Candidate) -> bool:
        """Tell whether all sources of a text compile."""
        return all(self.placeholders[path] is not None for path, _, _ in candidate.sources())

    def problems_of(self, candidates: Sequence[Candidate]) -> list[Problem]:
        """Return what is wrong with the sources of some texts."""
        paths = {path for candidate in candidates for path, _, _ in candidate.sources()}
        return [problem for problem in self.problems if problem["path"] in paths]


def _names(needs: Needs) -> dict[str, list[str]]:
    return {partial: list(names) for partial, names in needs.items()}


def _first(problems: Iterable[Problem]) -> list[Problem]:
    """Return as many problems as an error tells, and one more; to find each takes time."""
    return list(islice(problems, MOST_PROBLEMS + 1))


def _unfit_names(texts: Sequence[Candidate], found: _Found) -> Iterator[Problem]:
    """Yield a problem for each placeholder whose name no variable may have."""
    for candidate in texts:
        for path, source, _ in candidate.sources():
            for name in found.placeholders[path] or ():
                if not is_variable_name(name):
                    told = "a placeholder is a name such as 'amount' or 'user.name', in ASCII"
                    yield placed(path, "placeholder_name", told, source, place_of(name, source))


def _undeclared(own: Candidate, found: _Found, declared: set[str]) -> Iterator[Problem]:
    for path, source, _ in own.sources():
        for name in found.placeholders[path] or ():
            if not covered(name, declared):
                told = f"placeholder '{name}' is not among the declared variables"
                yield placed(path, "undeclared", told, source, place_of(name, source))


def _differences(own: Candidate, other: Candidate, found: _Found) -> Iterator[Problem]:
    """Yield a problem for each placeholder that only one of two texts has."""
    if not (found.compiles(own) and found.compiles(other)):
        return
    language, path = other.text["language"], f"{other.prefix}body"
    mine, its = found.names(own, own), found.names(other, own)
    for name in sorted(mine - its):
        told = f"placeholder '{name}' of the version's own text is lost in '{language}'"
        yield {"path": path, "type": "lost", "message": told}
    for name in sorted(its - mine):
        told = f"placeholder '{name}' in '{language}' is not in the version's own text"
        where = ((at, source, place_of(name, source)) for at, source, _ in other.sources())
        at, source, place = next(
            (found for found in where if found[2] is not None), (path, "", None)
        )
        yield placed(at, "added", told, source, place)


def _wrong_values(declared: Sequence[Variable]) -> Iterator[Problem]:
    for index, variable in enumerate(declared):
        for field in ("default", "example"):
            value = getattr(variable, field)
            expected = mistyped(variable.type, value) if value is not None else None
            if expected is not None:
                yield {
                    "path": f"variables[{index}].{field}",
                    "type": variable.type,
                    "message": expected,
                }


def _raise_all(broken: list[Problem], values: list[Problem], mismatch: list[Problem]) -> None:
    """Raise one error with all problems, its class that of the first kind there is."""
    kinds: list[tuple[type[ServiceError], str, list[Problem]]] = [
        (TemplateSyntax, "a source does not compile, or uses what is not offered", broken),
        (VariablesInvalid, "a default or example does not fit its type", values),
        (PlaceholderMismatch, "the placeholders do not fit", mismatch),
    ]
    for error, message, problems in kinds:
        if problems:
            raise error.of(message, [*broken, *values, *mismatch])
