"""The publish gate: the checks of a version's texts before anything is stored.

Its steps: compile, compare, try out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Self

from db.queries.templates import TemplateRow
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
from tasks.errors import problem as problem_at
from tasks.messages.variables import MOST_VARIABLES, Variable, is_variable_name
from tasks.rendering.checks import locale_filters as filter_checks
from tasks.rendering.checks.code_partials import layouts_of, unsafe_blocks, unsafe_includes
from tasks.rendering.client import Renderer
from tasks.rendering.limits import SECONDS_OF_EACH
from tasks.rendering.partials import blocks_of, cycle_through, depth, every_block, partials_of, uses
from tasks.rendering.paths import ITEM, above, steps_of
from tasks.rendering.places import placed
from tasks.rendering.texts import Text
from tasks.rendering.usage.inference import Inferred
from tasks.rendering.value_types import mistyped
from tasks.services import graph
from tasks.services import placeholder_checks as checks
from tasks.services.candidates import Candidate, Candidates, Compiled
from tasks.services.graph import Place
from tasks.services.partials import Library, Needs
from tasks.services.warnings import Adviser
from tasks.work import Work

Stored = list[dict[str, Any]]


class Gate:
    """Compiles, compares and tries out the texts of one version.

    Parameters
    ----------
    renderer
        Compiles and renders them.
    library
        The partials that they name.
    place
        The position of their template among partials.
    deadline
        By the renderer's clock, in seconds: when the trial renders must have begun.
    """

    def __init__(self, renderer: Renderer, library: Library, place: Place, deadline: float) -> None:
        self._renderer = renderer
        self._library = library
        self._place = place
        self._deadline = deadline
        self._needs = library.needs(self._asked)

    @classmethod
    def of(
        cls,
        work: Work,
        template: TemplateRow,
        sources: Iterable[str | None],
        *,
        carried: int = 0,
    ) -> tuple[Self, Candidates]:
        """Return a gate for sources of a template, and what makes candidates of them.

        ``carried`` is how many of them are translations of an earlier version.
        """
        library = graph.library(work, sources)
        limits = work.configuration.limits
        renderer = work.runtime.renderer
        deadline = renderer.clock() + limits.trial_seconds + SECONDS_OF_EACH * carried
        gate = cls(renderer, library, graph.place(work, template), deadline)
        return gate, Candidates(template.type, work.configuration.default_language, library)

    def compile(self, candidates: Sequence[Candidate]) -> list[Compiled]:
        """Return candidates with their placeholders, and the problems of their sources.

        Raises
        ------
        TooLarge
            Partials are nested too deeply.
        """
        self._check_depth([candidate for candidate in candidates if not candidate.is_stored])
        sources = [
            {"path": path, "source": source, "html": html}
            for candidate in candidates
            for path, source, html in candidate.sources()
        ]
        placeholders, problems = self._renderer.inspect(
            sources, _names(self._needs), self._deadline
        )
        return [
            Compiled(
                candidate,
                {path: placeholders[path] for path, _, _ in candidate.sources()},
                self._problems(candidate, problems),
            )
            for candidate in candidates
        ]

    def compare(
        self, own: Compiled, translations: Sequence[Compiled], declared: Stored | None
    ) -> Stored:
        """Return the variables of a version: ``declared``, or inferred from its own text.

        Parameters
        ----------
        own
            The version's own text.
        translations
            Others, which must have the same placeholders.
        declared
            The variables; None has them inferred.

        Raises
        ------
        TemplateSyntax
            A source does not compile, or uses an unavailable feature.
        PlaceholderMismatch
            A placeholder is not declared, or a translation has others than the version.
        VariablesInvalid
            A default or an example is not of its variable's type.
        TooLarge
            The sources use too many placeholders.
        """
        broken = [problem for text in (own, *translations) for problem in text.problems]
        wrong_values: list[Problem] = []
        undeclared: list[Problem] = []
        if declared is None:
            broken += _first(checks.unfit_names([own, *translations]))
            broken += _first(checks.minuses([own, *translations]))
            variables = [] if broken else self._inferred(own, translations)
        else:
            variables = declared
            if not own.candidate.is_stored:
                wrong_values = [*checks.contradictions(declared), *_wrong_values(declared)]
                undeclared = _first(checks.undeclared(own, {each["name"] for each in declared}))
        # Inferred variables come from all texts.
        names = None if declared is None else {each["name"] for each in declared}
        unequal = _first(self._differences(own, translations, names))
        _raise_all(broken, wrong_values, [*undeclared, *unequal])
        return variables

    def try_out(self, texts: Sequence[Compiled], variables: Stored) -> None:
        """Render texts with examples of the variables, or values made from their types.

        Raises
        ------
        TemplateSyntax
            A trial render fails.
        RenderLimitExceeded
            A trial render went over a limit.
        """
        declared = self._library.with_undeclared(variables)
        problems: list[Problem] = []
        for candidate in (compiled.candidate for compiled in texts):
            text = candidate.text
            if not candidate.has_subject:
                text = Text(**{**text, "subject": None})
            for problem in self._renderer.try_out(text, declared, self._deadline):
                problems.append(problem | {"path": f"{candidate.prefix}{problem['path']}"})
                if problem["type"] == "limit":
                    raise RenderLimitExceeded.of("a trial render exceeded a limit", problems)
        if problems:
            raise TemplateSyntax.of("a trial render failed", problems)

    def adviser(self) -> Adviser:
        """Return what finds warnings in texts that have passed."""
        return Adviser(self._renderer, self._library, self._deadline)

    def carried_candidate(
        self, own: Compiled, candidate: Candidate, variables: Stored, *, inline_css: bool
    ) -> tuple[Candidate | None, list[Problem]]:
        """Return an earlier version's translation as a new one renders it, or its problems."""
        (other,) = self.compile([candidate])
        names = {each["name"] for each in variables}
        problems = [*other.problems, *_first(self._differences(own, [other], names))]
        if problems:
            return None, problems
        try:
            if inline_css:
                (other,) = self.inline([other])
            text = other.candidate.text
            declared = self._library.with_undeclared(variables)
            tried = self._renderer.try_out(text, declared, self._deadline)
        except (RenderLimitExceeded, TemplateSyntax) as error:
            tried = error.details
        if self._renderer.clock() > self._deadline:
            # Perhaps it would fit: it must not be dropped for lack of time.
            raise RenderLimitExceeded.at("", "limit", "the trial renders exceeded their time limit")
        prefix = candidate.prefix
        problems = [each | {"path": f"{prefix}{each['path']}".rstrip(".")} for each in tried]
        return (None if problems else other.candidate), problems

    def inline(self, texts: Sequence[Compiled]) -> list[Compiled]:
        """Return compiled texts whose style rules are written into the elements of their bodies.

        Raises
        ------
        TemplateSyntax
            The rules cannot be inlined, or a placeholder would be where it must not.
        """
        sources = [
            {"path": f"{text.candidate.prefix}body", "source": text.candidate.text["body"]}
            for text in texts
        ]
        bodies, problems = self._renderer.inline(sources, self._deadline)
        if problems:
            raise TemplateSyntax.of("styles cannot be inlined", problems)
        return [
            replace(text, candidate=text.candidate.with_body(body))
            for text, body in zip(texts, bodies, strict=True)
        ]

    def _problems(self, candidate: Candidate, inspected: Sequence[Problem]) -> list[Problem]:
        if candidate.is_stored:
            return []
        paths = {path for path, _, _ in candidate.sources()}
        return [
            *_first(self._partial_problems(candidate)),
            *(problem for problem in inspected if problem["path"] in paths),
            *_first(
                problem
                for path, source, _ in candidate.sources()
                for problem in filter_checks.problems(source, candidate.text["language"], path)
            ),
        ]

    def _differences(
        self, own: Compiled, others: Sequence[Compiled], declared: set[str] | None
    ) -> Iterator[Problem]:
        """Yield what only one of two texts uses; ``declared`` are given to all, None if any."""
        for other in others:
            yield from checks.differences(own, other)
        looping = [text for text in others if text.compiles() and text.loops()]
        if declared is None or not looping or not own.compiles():
            return
        sources = [
            [source for _, source, _ in each.candidate.sources()] for each in (own, *looping)
        ]
        mine, *theirs = self._renderer.members(sources, self._deadline)
        for other, its in zip(looping, theirs, strict=True):
            if mine is not None and its is not None:
                yield from checks.added_members(other, set(its[1]) - {*mine[0], *declared})

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

    def _partial_problems(self, candidate: Candidate) -> Iterator[Problem]:
        for path, source, html in candidate.sources():
            yield from self._use_problems(path, source)
            yield from self._block_problems(path, source)
            if html:
                yield from self._code_problems(path, source)

    def _use_problems(self, path: str, source: str) -> Iterator[Problem]:
        for use in uses(source):
            if use.partial is None:
                continue  # the inspection reports it
            cycle = self._cycle([use.partial])
            if cycle is not None:
                message = f"a partial cannot use itself: {' → '.join(cycle)}"
                yield placed(path, "partial_cycle", message, source, use.start)
            elif use.partial not in self._library:
                message = f"no active partial '{use.partial[:255]}' with a version"
                yield placed(path, "partial_not_found", message, source, use.start)

    def _block_problems(self, path: str, source: str) -> Iterator[Problem]:
        """Yield a problem for each block that no layout shows: its text would be lost."""
        layouts = list(layouts_of(source, self._body))
        if not layouts:
            return
        known = {block for layout in layouts for block in every_block(layout)}
        for block, start in blocks_of(source).items():
            if block not in known:
                message = f"no layout has a block '{block}'; they have: {', '.join(sorted(known))}"
                yield placed(path, "unknown_block", message, source, start)

    def _code_problems(self, path: str, source: str) -> Iterator[Problem]:
        """Yield a problem for each value that a partial or layout puts into a style or script."""
        unsafe = [
            *unsafe_includes(source, self._body),
            *unsafe_blocks(source, layouts_of(source, self._body)),
        ]
        for each in unsafe:
            yield placed(path, "unsafe_placeholder", each.message, source, each.start)

    def _body(self, partial: str) -> str | None:
        return self._library.body(partial) if partial in self._library else None

    def _inferred(self, own: Compiled, translations: Sequence[Compiled]) -> Stored:
        every = {name for text in (own, *translations) for name in text.names(own)}
        # "user" says all that "user.name" does.
        names = sorted(name for name in every if every.isdisjoint(above(name)))
        if len(names) > MOST_VARIABLES:
            message = f"the sources use {len(names)} placeholders, the limit is {MOST_VARIABLES}"
            raise TooLarge.at("body", "too_large", message)
        texts = [compiled.candidate.text for compiled in (own, *translations)]
        # Without values for what only partials use, none would render, and nothing be optional.
        others = [variable["name"] for variable in self._library.undeclared(names)]
        inferred = Inferred([], [])
        if names:
            inferred = self._renderer.infer(texts, [*names, *others], self._deadline)
        items = [name for name in inferred.items if is_variable_name(name)]
        names = sorted({*names, *items[: MOST_VARIABLES - len(names)]})
        declared: dict[str, Mapping[str, Any]] = {}
        for used in partials_of(source for _, source, _ in own.candidate.sources()):
            declared = {**self._needs[used], **declared}
        return [
            dict(declared[name])
            if name in declared
            else Variable(name=name, required=name not in inferred.optional).stored()
            for name in names
        ]


def _names(needs: Needs) -> dict[str, list[str]]:
    """Return the needs of partials; for members of items, only their arrays."""
    return {
        partial: [name for name in names if ITEM not in steps_of(name)]
        for partial, names in needs.items()
    }


def _first(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that an error can list, and one more; finding each takes time."""
    return list(islice(problems, MOST_PROBLEMS + 1))


def _wrong_values(declared: Stored) -> Iterator[Problem]:
    for index, variable in enumerate(declared):
        for field in ("default", "example"):
            value = variable.get(field)
            expected = mistyped(variable["type"], value) if value is not None else None
            if expected is not None:
                yield problem_at(f"variables[{index}].{field}", variable["type"], expected)


def _raise_all(broken: list[Problem], values: list[Problem], mismatch: list[Problem]) -> None:
    """Raise one error with all problems; the first kind of problem decides on its class."""
    kinds: list[tuple[type[ServiceError], str, list[Problem]]] = [
        (TemplateSyntax, "a source does not compile, or uses an unavailable feature", broken),
        (VariablesInvalid, "a default, an example or a member does not match its type", values),
        (PlaceholderMismatch, "the placeholders do not match", mismatch),
    ]
    for error, message, problems in kinds:
        if problems:
            raise error.of(message, [*broken, *values, *mismatch])
