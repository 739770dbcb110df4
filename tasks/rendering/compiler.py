"""MiniJinja, set up so that templates reach nothing but their values.

It runs in the render process (:mod:`tasks.rendering.process`); the engine's fuel bounds steps, the
process's limits bound time and memory.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from minijinja import Environment, TemplateError, pass_state
from minijinja._lowlevel import State

from tasks.rendering import samples
from tasks.rendering.comparisons import holds
from tasks.rendering.failures import FilterFailedError, Kind, NullPrintedError
from tasks.rendering.guards import (
    MissingError,
    engine,
    guarded_filters,
    guarded_tests,
    lacks,
    there,
)
from tasks.rendering.joining import joiner
from tasks.rendering.locale_filters import FILTERS, MARKED_FILTERS, FilterError
from tasks.rendering.markup_values import localized
from tasks.rendering.number_filters import filters_of_numbers, tests_of_numbers
from tasks.rendering.numbers import plain, whole
from tasks.rendering.placed_values import FILTER as PLACED
from tasks.rendering.placed_values import named_error, placed_edits, placed_value
from tasks.rendering.plural_calls import marked
from tasks.rendering.rewriting import HOLDS, JOINED, THERE, WHOLE, Edits, Rewritten, rewritten
from tasks.rendering.slashes import with_marked_slashes, with_slashes
from tasks.rendering.tags import COMMENT_START, code, prepared
from tasks.rendering.values import MISSING, Null, Unprintable, reaches_methods

FUEL: Final = 20_000_000
"""Engine steps of one render: more than a second of work, so that time is the limit in practice."""

MOST_COMPILED: Final = 512
MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""Of the compiled sources that are kept for the next render."""

# The type stub of the engine lacks it.
_SEMI_STRICT: Final[Any] = "semi_strict"
_PROBE: Final = "probe"
_MOST_PROBED: Final = 100


class Compiler:
    """Compiles sources of one kind of output, and renders them by the names it gives them.

    Parameters
    ----------
    escapes
        Whether values are escaped for HTML.
    """

    def __init__(self, *, escapes: bool) -> None:
        self._escapes = escapes
        tests = guarded_tests()
        self._filters = self._own_filters()
        self._tests = tests | tests_of_numbers(tests)
        self.environment = self._environment()
        self._watcher: Environment | None = None
        self._names: dict[tuple[str, str], str] = {}
        self._sources: dict[str, tuple[str, str]] = {}
        self._rewritten: dict[str, Rewritten] = {}
        self._derived: dict[tuple[str, str], str] = {}
        self._reaching: set[str] = set()
        self._characters = 0
        self._partials: Mapping[str, str] = {}
        self._is_trial = False

    def forget(self) -> None:
        """Drop the compiled sources when there are many; no name may be in use."""
        if len(self._names) > MOST_COMPILED or self._characters > MOST_CHARACTERS:
            self.environment.clear_templates()
            self._watcher = None
            self._names.clear()
            self._sources.clear()
            self._rewritten.clear()
            self._derived.clear()
            self._reaching.clear()
            self._characters = 0

    def compile(self, language: str, source: str) -> str:
        """Return the name of a source whose locale filters speak ``language``.

        Raises
        ------
        minijinja.TemplateError
            It does not compile.
        """
        name = self._names.get((language, source))
        if name is None:
            name = f"template {len(self._names)}"
            self._compile(name, source)
            self._names[language, source] = name
            self._sources[name] = language, source
            self._characters += len(source)
            if reaches_methods(source):
                self._reaching.add(name)
        return name

    def compile_derived(self, language: str, source: str, derive: Callable[[str], str]) -> str:
        """Return the name of what ``derive`` makes of a source, which is done once.

        Raises
        ------
        minijinja.TemplateError
            It does not compile.
        """
        name = self._derived.get((language, source))
        if name is None:
            name = self._derived[language, source] = self.compile(language, derive(source))
            self._characters += len(source)
        return name

    def reaches_methods(self, names: Iterable[str]) -> bool:
        """Tell whether the source of a name may call methods of its values."""
        return not self._reaching.isdisjoint(names)

    def source(self, name: str) -> str:
        """Return the source of a name."""
        return self._sources[name][1]

    def rewritten(self, name: str) -> Rewritten:
        """Return what the engine compiled as the source of a name."""
        return self._rewritten.get(name) or Rewritten(self._sources[name][1])

    def rewritten_or_none(self, name: str) -> Rewritten | None:
        """Return the same, or None for a name that is none of a source."""
        return self._rewritten.get(name)

    def render(
        self,
        name: str,
        partials: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        is_trial: bool = False,
    ) -> str:
        """Return what a source gives.

        Parameters
        ----------
        name
            As :meth:`compile` gave it.
        partials
            The names of the partials that it may use, by their ids.
        values
            As :func:`tasks.rendering.values.decode` gives them.
        is_trial
            Whether values are invented, so that a filter that refuses one is not at fault.

        Raises
        ------
        minijinja.TemplateError
            Whatever the engine met.
        FilterFailedError
            A filter or test refused what it was given.
        NullPrintedError
            A null would have been printed.
        MemoryError
            There is too little.
        """
        self._partials, self._is_trial = partials, is_trial
        Unprintable.printed = False
        rendered = _rendered(self.environment, name, values)
        if Unprintable.printed:
            raise NullPrintedError
        # Perhaps a none that was printed, or a list with what is missing. A finalizer sees each
        # print, but costs a call for it.
        is_suspect = "None" in rendered or "undefined" in rendered
        if is_suspect and _rendered(self._watched(), name, values) != rendered:
            raise NullPrintedError
        return with_slashes(rendered) if self._escapes else rendered

    def place_of(
        self,
        failed: FilterFailedError,
        name: str,
        partials: Mapping[str, str],
        values: Mapping[str, Any],
    ) -> int | None:
        """Return the position of a failed filter or test in its source, if known.

        The engine does not tell where it called a filter. So where there are several uses, each
        gets a name of its own, and the render is done again. Such as ``map`` use one by a text,
        which has no place.
        """
        if failed.place is not None:
            return failed.place
        language, source = self._sources[failed.template]
        uses = _uses(source, failed.kind, failed.use)[:_MOST_PROBED]
        is_named = any(f"{quote}{failed.use}{quote}" in source for quote in "'\"")
        if len(uses) < 2 and not is_named:  # noqa: PLR2004 - one use needs no search
            return uses[0] if uses else None
        aliases = [f"{failed.use}__{number}" for number in range(len(uses))]
        marked, last = [], 0
        for alias, start in zip(aliases, uses, strict=True):
            marked += [source[last:start], alias]
            last = start + len(failed.use)
            self._add(self.environment, failed.kind, failed.use, alias)
        self._sources[_PROBE] = language, source
        self._compile(_PROBE, "".join([*marked, source[last:]]))
        try:
            self.render(
                _PROBE if name == failed.template else name,
                {
                    key: _PROBE if value == failed.template else value
                    for key, value in partials.items()
                },
                values,
                is_trial=self._is_trial,
            )
        except FilterFailedError as again:
            return uses[aliases.index(again.use)] if again.use in aliases else None
        except (TemplateError, NullPrintedError):
            return None
        finally:
            self.environment.remove_template(_PROBE)
            self._rewritten.pop(_PROBE, None)
            self._watcher = None
            del self._sources[_PROBE]
            for alias in aliases:
                if failed.kind == "filter":
                    self.environment.remove_filter(alias)
                else:
                    self.environment.remove_test(alias)
        return None

    def _own_filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by their names, but those that follow the language."""
        filters = guarded_filters(escapes=self._escapes)
        evaluate = engine(escapes=False).eval_expr
        return filters | filters_of_numbers(evaluate, filters["sum"])

    def _environment(self, **options: Any) -> Environment:  # noqa: ANN401 - the engine's options
        escapes = self._escapes
        options = {"auto_escape_callback": lambda _name: escapes} | options
        environment = Environment(
            debug=False,  # else values stand in error messages
            fuel=FUEL,
            # A condition may ask for what is missing; prints and operators may not.
            undefined_behavior=_SEMI_STRICT,
            path_join_callback=lambda name, _parent: self._partials.get(name, name),
            comment_start_string=COMMENT_START,
            keep_trailing_newline=True,
            **options,
        )
        # Escaping follows the output, never the template.
        environment.remove_filter("safe")
        environment.remove_global("debug")
        environment.add_test("none", _is_none)
        for name in (*self._filters, *FILTERS):
            self._add(environment, "filter", name, name)
        for name, function in MARKED_FILTERS.items():
            environment.add_filter(name, self._locale_filter("plural", "plural", function))
        for name in self._tests:
            self._add(environment, "test", name, name)
        environment.add_global(HOLDS, self._placed("comparison", holds))
        environment.add_global(WHOLE, whole)
        environment.add_filter(THERE, self._placed("slice", there))
        if self._escapes:
            environment.add_filter(PLACED, self._placed_filter())
            environment.add_global(JOINED, self._placed("~", joiner()))
        return environment

    def _compile(self, name: str, source: str) -> None:
        placed = placed_edits(source) if self._escapes else Edits()
        own = marked(source)
        guarded = rewritten(own, placed, joins=self._escapes)
        try:
            self.environment.add_template(name, self._prepared(guarded.text))
        except TemplateError:
            # Its words and its place are about what the author wrote.
            self.environment.undeclared_variables_in_str(self._prepared(source))
            guarded = placed.applied(own)
            self.environment.add_template(name, self._prepared(guarded.text))
        self._rewritten[name] = guarded

    def _prepared(self, source: str) -> str:
        return prepared(with_marked_slashes(source) if self._escapes else source)

    def _add(self, environment: Environment, kind: Kind, name: str, use: str) -> None:
        """Add a filter or test that is used by ``use``, which errors will say."""
        if kind == "test":
            environment.add_test(use, self._guarded(kind, self._tests[name], use))
        elif name in FILTERS:
            environment.add_filter(use, self._locale_filter(name, use, FILTERS[name]))
        else:
            environment.add_filter(use, self._guarded(kind, self._filters[name], use))

    def _placed_filter(self) -> Callable[..., str]:
        @pass_state
        def call(state: State, value: Any, *arguments: Any) -> str:  # noqa: ANN401 - any value of a template
            kind, place, raw = arguments
            try:
                return placed_value(value, kind, raw=raw, is_trial=self._is_trial)
            except FilterError as error:
                named = named_error(error, kind, self._sources[state.name][1], place)
                raise FilterFailedError("filter", PLACED, state.name, named, place) from None

        return call

    def _watched(self) -> Environment:
        """Return an environment of the same templates that refuses to print none."""
        if self._watcher is None:
            self._watcher = self._environment(
                finalizer=_printable,
                loader=lambda name: self._prepared(self.rewritten(name).text),
            )
        return self._watcher

    def _locale_filter(
        self, name: str, use: str, function: Callable[..., str]
    ) -> Callable[..., str]:
        function = localized(name, function) if self._escapes else function

        @pass_state
        def call(state: State, value: Any = None, *arguments: Any, **keywords: Any) -> str:  # noqa: ANN401 - any value of a template
            if self._is_trial:
                if any(map(samples.is_invented, (*arguments, *keywords.values()))):
                    return samples.TEXT
                value = samples.BY_FILTER[name] if samples.is_invented(value) else value
            if value is None or value is MISSING:
                missing = MissingError(f"{name}: a value is missing")
                raise FilterFailedError("filter", use, state.name, missing)
            value = None if isinstance(value, Null) else plain(value)
            try:
                return function(self._sources[state.name][0], value, *arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError("filter", use, state.name, error) from None

        return call

    def _placed(self, use: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a guard of :mod:`tasks.rendering.rewriting`, which is told where it stands."""

        @pass_state
        def call(state: State, *arguments: Any) -> Any:  # noqa: ANN401 - any value of a template
            # A filter gets its value first, and a function its place.
            place, others = arguments[-1], arguments[:-1]
            if use != "slice":
                place, others = arguments[0], arguments[1:]
            try:
                return function(*others)
            except FilterError as error:
                failed = type(error)(f"{use}: {error}")
                raise FilterFailedError(
                    "invalid_operation", use, state.name, failed, place
                ) from None

        return call

    def _guarded(self, kind: Kind, function: Callable[..., Any], use: str) -> Callable[..., Any]:
        @pass_state
        def call(state: State, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
            try:
                return function(*arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError(kind, use, state.name, error) from None

        return call


def _rendered(environment: Environment, name: str, values: Mapping[str, Any]) -> str:
    try:
        return environment.render_template(name, **values)
    except BaseException as error:
        # Raised where there is no memory for what was rendered; Python cannot import its class.
        if type(error).__name__ == "PanicException":
            raise MemoryError from None
        raise


def _uses(source: str, kind: Kind, name: str) -> list[int]:
    """Return the places in ``source`` at which a filter or test is used."""
    before = r"(?:\||\bfilter)\s*" if kind == "filter" else r"\bis\s+(?:not\s+)?"
    use = re.compile(rf"{before}({re.escape(name)})\b")
    return [start + match.start(1) for start, text in code(source) for match in use.finditer(text)]


def _printable(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    # The engine prints nothing for an "if" without "else", and the value that it has.
    return "" if lacks(value) else NotImplemented


def _is_none(value: object) -> bool:
    return value is None or isinstance(value, Null)
