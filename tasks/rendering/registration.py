"""Filters, tests and functions as templates call them: with the language, and errors with places.

They are registered with each environment of a :class:`tasks.rendering.compiler.Compiler`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from minijinja import Environment, pass_state
from minijinja._lowlevel import State

from tasks.rendering import bidi, samples
from tasks.rendering.failures import FilterFailedError, Kind
from tasks.rendering.filters.arithmetic import calculator
from tasks.rendering.filters.comparisons import holds
from tasks.rendering.filters.graphemes import clusters
from tasks.rendering.filters.guards import (
    MissingError,
    engine,
    guarded_filter,
    guarded_filters,
    guarded_tests,
    sliced,
    some,
)
from tasks.rendering.filters.joining import joiner, members_joined
from tasks.rendering.filters.language_filters import NAMES, LanguageFilter, language_filters
from tasks.rendering.filters.number_filters import (
    ORDERING_TESTS,
    filters_of_numbers,
    tests_of_numbers,
)
from tasks.rendering.filters.text_filters import text_filters
from tasks.rendering.html.css_samples import sample_at
from tasks.rendering.locale_filters import FILTERS, MARKED_FILTERS, ArgumentError, FilterError
from tasks.rendering.locale_filters.casing import CASES
from tasks.rendering.locale_filters.errors import PatternError
from tasks.rendering.locale_filters.patterns import FORMATS, MOMENTS, mistaken
from tasks.rendering.markup_values import localized
from tasks.rendering.numbers import plain, whole
from tasks.rendering.placed_values import FILTER as PLACED
from tasks.rendering.placed_values import named_error, placed_value
from tasks.rendering.rewriting import CALCULATED, CLUSTERS, HOLDS, JOINED, SLICED, SOME, WHOLE
from tasks.rendering.values import MISSING, Null


class Registration:
    """Filters, tests and functions for the sources of one kind of output.

    Parameters
    ----------
    sources
        Language and source of each template, by its name.
    escapes
        Whether values are escaped for HTML.
    replacing
        Filters that replace others of the same names.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[str, str]],
        *,
        escapes: bool,
        replacing: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._sources = sources
        self._escapes = escapes
        filters, tests = guarded_filters(escapes=escapes), guarded_tests()
        evaluate = engine(escapes=escapes).eval_expr
        filters |= filters_of_numbers(engine(escapes=False).eval_expr, filters["sum"])
        self._filters = filters | text_filters(evaluate, filters) | dict(replacing)
        attributes = guarded_filter("map", escapes=escapes)
        self._filters["join"] = members_joined(self._filters["join"], attributes)
        self._language_filters = language_filters(self._filters | {"map": attributes})
        self._tests = tests | tests_of_numbers(tests)
        self._ordering = {self._tests[name] for name in ORDERING_TESTS}
        self.is_trial = False
        """Whether values are invented, so that a filter that refuses one is not at fault."""

    def register(self, environment: Environment) -> None:
        """Give an environment what it offers, and take away what it must not."""
        # Escaping follows the output, never the template.
        environment.remove_filter("safe")
        environment.remove_global("debug")
        environment.add_test("none", lambda value: value is None or isinstance(value, Null))
        for name in (*self._filters, *FILTERS):
            self.add(environment, "filter", name, name)
        for name, function in MARKED_FILTERS.items():
            environment.add_filter(name, self._locale_filter("plural", "plural", function))
        for name in CASES:
            # In languages without rules of their own, which have the shorter way.
            environment.add_filter(name, self._guarded("filter", self._filters[name], name))
        for name, use in NAMES.items():
            environment.add_filter(use, self._spoken(self._language_filters[name], name))
        environment.add_filter(bidi.LISTED, self._locale_filter("list", "list", _listed))
        environment.add_filter(bidi.ISOLATED, self._guarded("filter", bidi.isolated, bidi.ISOLATED))
        for name in self._tests:
            self.add(environment, "test", name, name)
        environment.add_global(HOLDS, self._placed("comparison", holds, speaks=True))
        environment.add_global(CALCULATED, self._placed("arithmetic", calculator()))
        environment.add_global(JOINED, self._placed("~", joiner(escapes=self._escapes)))
        environment.add_global(WHOLE, whole)
        environment.add_filter(SOME, some)
        environment.add_filter(SLICED, self._placed("slice", sliced, is_filter=True))
        environment.add_filter(CLUSTERS, clusters)
        if self._escapes:
            environment.add_filter(PLACED, self._placed_filter())

    def add(self, environment: Environment, kind: Kind, name: str, use: str) -> None:
        """Add a filter or test that is used by ``use``, which errors will say."""
        if kind == "test":
            environment.add_test(use, self._guarded(kind, self._tests[name], use))
        elif name in FILTERS:
            environment.add_filter(use, self._locale_filter(name, use, FILTERS[name]))
        elif name in NAMES:
            environment.add_filter(use, self._spoken(self._language_filters[name], use))
        else:
            environment.add_filter(use, self._guarded(kind, self._filters[name], use))

    def _placed_filter(self) -> Callable[..., str]:
        @pass_state
        def call(state: State, value: Any, *arguments: Any) -> str:  # noqa: ANN401 - any value of a template
            kind, place, raw = arguments
            invented = None
            if self.is_trial:
                invented = partial(sample_at, self._sources[state.name][1], place)
            try:
                return placed_value(value, kind, raw=raw, invented=invented)
            except FilterError as error:
                named = named_error(error, kind, self._sources[state.name][1], place)
                raise FilterFailedError("filter", PLACED, state.name, named, place) from None

        return call

    def _locale_filter(
        self, name: str, use: str, function: Callable[..., str]
    ) -> Callable[..., str]:
        function = localized(name, function) if self._escapes else function

        @pass_state
        def call(state: State, value: Any = None, *arguments: Any, **keywords: Any) -> str:  # noqa: ANN401 - any value of a template
            if self.is_trial:
                if any(map(samples.is_invented, (*arguments, *keywords.values()))):
                    return samples.TEXT
                value = samples.BY_FILTER[name] if samples.is_invented(value) else value
            if value is None or value is MISSING:
                missing = MissingError(f"{name}: a value is missing")
                raise FilterFailedError("filter", use, state.name, missing)
            value = None if isinstance(value, Null) else plain(value)
            try:
                if name in MOMENTS:
                    pattern = arguments[0] if arguments else keywords.get("format")
                    self._require_plain_pattern(use, state.name, pattern)
                return function(self._sources[state.name][0], value, *arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError("filter", use, state.name, error) from None

        return call

    def _require_plain_pattern(self, use: str, template: str, pattern: object) -> None:
        """Refuse a pattern that means something else than it seems to.

        One that is in the source is refused at the publish; an earlier version renders as it
        did.
        """
        if not isinstance(pattern, str) or pattern in FORMATS:
            return
        wrong = mistaken(pattern)
        if wrong is not None and self.is_trial:
            raise PatternError(f"{use}: {wrong}")
        if wrong is not None and pattern not in self._sources[template][1]:
            raise ArgumentError(f"{use}: {wrong}")

    def _spoken(self, function: LanguageFilter, use: str) -> Callable[..., Any]:
        @pass_state
        def call(state: State, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
            language = self._sources[state.name][0]
            try:
                return function(language, self.is_trial, *arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError("filter", use, state.name, error) from None
            except TypeError:
                wrong = ArgumentError(f"{use}: unknown argument")
                raise FilterFailedError("filter", use, state.name, wrong) from None

        return call

    def _placed(
        self,
        use: str,
        function: Callable[..., Any],
        *,
        is_filter: bool = False,
        speaks: bool = False,
    ) -> Callable[..., Any]:
        """Return a guard of :mod:`tasks.rendering.rewriting` that gets its place in the source.

        With ``speaks`` the function gets the language, too.
        """

        @pass_state
        def call(state: State, *arguments: Any) -> Any:  # noqa: ANN401 - any value of a template
            operands = list(arguments)
            # A filter gets its value first, and a function its place.
            place = operands.pop(1 if is_filter else 0)
            named = {"language": self._sources[state.name][0]} if speaks else {}
            try:
                return function(*operands, **named)
            except FilterError as error:
                failed = type(error)(f"{use}: {error}")
                raise FilterFailedError(
                    "invalid_operation", use, state.name, failed, place
                ) from None

        return call

    def _guarded(self, kind: Kind, function: Callable[..., Any], use: str) -> Callable[..., Any]:
        orders = kind == "test" and function in self._ordering

        @pass_state
        def call(state: State, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
            if orders:
                keywords["language"] = self._sources[state.name][0]
            try:
                return function(*arguments, **keywords)
            except FilterError as error:
                others = (*arguments[1:], *keywords.values())
                if self.is_trial and any(isinstance(each, samples.Anything) for each in others):
                    return samples.TEXT
                raise FilterFailedError(kind, use, state.name, error) from None
            except TypeError:
                wrong = ArgumentError(f"{use}: unknown argument, or one too many: leave it out")
                raise FilterFailedError(kind, use, state.name, wrong) from None

        return call


def _listed(language: str, value: object, /, *arguments: object, **named: object) -> str:
    return FILTERS["list"](language, bidi.items_isolated(value), *arguments, **named)
