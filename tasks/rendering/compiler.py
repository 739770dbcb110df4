"""MiniJinja, set up so that templates reach nothing but their values.

It runs in the render process (:mod:`tasks.rendering.process`); the engine's fuel bounds steps, the
process's limits bound time and memory.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from minijinja import Environment, TemplateError, pass_state
from minijinja._lowlevel import State

from tasks.rendering import bidi, samples
from tasks.rendering.guards import MissingError, guarded_filters, guarded_tests, lacks
from tasks.rendering.language_filters import NAMES, LanguageFilter, language_filters, renamed
from tasks.rendering.locale_filters import FILTERS, MARKED_FILTERS, ArgumentError, FilterError
from tasks.rendering.plural_calls import marked
from tasks.rendering.tags import COMMENT_START, code, prepared
from tasks.rendering.texts import RENDER_NAMES
from tasks.rendering.values import Null, Unprintable, reaches_methods

FUEL: Final = 20_000_000
"""Engine steps of one render: more than a second of work, so that time is the limit in practice."""

MOST_COMPILED: Final = 512
MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""Of the compiled sources that are kept for the next render."""

_PROBE: Final = "probe"
_RENDER_NAME: Final = re.compile(rf"\b(?:{'|'.join(sorted(RENDER_NAMES))})\b")
_MOST_PROBED: Final = 100


class NullPrintedError(Exception):
    """A null was about to be printed, which would read as a blank."""


Kind = Literal["filter", "test"]


class FilterFailedError(Exception):
    """A filter or test refused what it was given.

    ``use`` is the name it was used by, ``template`` the compiled name of where it stands.
    """

    def __init__(self, kind: Kind, use: str, template: str, error: FilterError) -> None:
        super().__init__(str(error))
        self.kind: Kind = kind
        self.use = use
        self.template = template
        self.error = error


class Compiler:
    """Compiles sources of one kind of output, and renders them by the names it gives them.

    Parameters
    ----------
    escapes
        Whether values are escaped for HTML.
    """

    def __init__(self, *, escapes: bool) -> None:
        self._escapes = escapes
        self._filters = guarded_filters(escapes=escapes)
        self._language_filters = language_filters(escapes=escapes)
        self._tests = guarded_tests()
        self.environment = self._environment()
        self._watcher: Environment | None = None
        self._names: dict[tuple[str, str], str] = {}
        self._sources: dict[str, tuple[str, str]] = {}
        self._derived: dict[tuple[str, str], str] = {}
        self._isolating: dict[str, str] = {}
        self._asking: set[str] = set()
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
            self._derived.clear()
            self._isolating.clear()
            self._asking.clear()
            self._reaching.clear()
            self._characters = 0

    def compile(self, language: str, source: str, *, isolates: bool = False) -> str:
        """Return the name of a source whose locale filters speak ``language``.

        ``isolates`` tells whether its prints are isolated, as in right-to-left text.

        Raises
        ------
        minijinja.TemplateError
            It does not compile.
        """
        name = self._names.get((language, source))
        if name is None:
            name = f"template {len(self._names)}"
            self.environment.add_template(name, _given(language, source))
            self._names[language, source] = name
            self._sources[name] = language, source
            self._characters += len(source)
            if reaches_methods(source):
                self._reaching.add(name)
            if _RENDER_NAME.search(source):
                self._asking.add(name)
            if isolates:
                self._isolating[name] = bidi.with_isolates(source, html=self._escapes)
                self._isolate([name])
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

    def asks_for_render(self, names: Iterable[str]) -> bool:
        """Tell whether the source of a name may use names that the render gives."""
        return not self._asking.isdisjoint(names)

    def source(self, name: str) -> str:
        """Return the source of a name."""
        return self._sources[name][1]

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
        try:
            return self._rendered(name, values)
        except (TemplateError, FilterFailedError, NullPrintedError):
            isolating = self._isolating.keys() & {name, *partials.values()}
            if not isolating:
                raise
        # Once more as their authors wrote them, so that the error has its place.
        for one in isolating:
            self.environment.add_template(one, _given(*self._sources[one]))
        try:
            return self._rendered(name, values)
        finally:
            self._isolate(isolating)

    def _rendered(self, name: str, values: Mapping[str, Any]) -> str:
        Unprintable.printed = False
        rendered = _rendered(self.environment, name, values)
        if Unprintable.printed:
            raise NullPrintedError
        # Perhaps a none that was printed, or a list with what is missing. A finalizer sees each
        # print, but costs a call for it.
        is_suspect = "None" in rendered or "undefined" in rendered
        if is_suspect and _rendered(self._watched(), name, values) != rendered:
            raise NullPrintedError
        return rendered

    def _as_rendered(self, name: str) -> str:
        language, source = self._sources[name]
        return _given(language, self._isolating.get(name, source))

    def _isolate(self, names: Iterable[str]) -> None:
        for name in names:
            language = self._sources[name][0]
            self.environment.add_template(name, _given(language, self._isolating[name]))

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
        self.environment.add_template(_PROBE, _given(language, "".join([*marked, source[last:]])))
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
            self._watcher = None
            del self._sources[_PROBE]
            for alias in aliases:
                if failed.kind == "filter":
                    self.environment.remove_filter(alias)
                else:
                    self.environment.remove_test(alias)
        return None

    def _environment(self, **options: Any) -> Environment:  # noqa: ANN401 - the engine's options
        escapes = self._escapes
        environment = Environment(
            debug=False,  # else values stand in error messages
            fuel=FUEL,
            undefined_behavior="strict",
            auto_escape_callback=lambda _name: escapes,
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
        for name, use in NAMES.items():
            environment.add_filter(use, self._spoken(self._language_filters[name], name))
        environment.add_filter(bidi.LISTED, self._locale_filter("list", "list", _listed))
        environment.add_filter(bidi.ISOLATED, self._guarded("filter", bidi.isolated, bidi.ISOLATED))
        for name in self._tests:
            self._add(environment, "test", name, name)
        return environment

    def _add(self, environment: Environment, kind: Kind, name: str, use: str) -> None:
        """Add a filter or test that is used by ``use``, which errors will say."""
        if kind == "test":
            environment.add_test(use, self._guarded(kind, self._tests[name], use))
        elif name in FILTERS:
            environment.add_filter(use, self._locale_filter(name, use, FILTERS[name]))
        elif name in NAMES:
            environment.add_filter(use, self._spoken(self._language_filters[name], use))
        else:
            environment.add_filter(use, self._guarded(kind, self._filters[name], use))

    def _watched(self) -> Environment:
        """Return an environment of the same templates that refuses to print none."""
        if self._watcher is None:
            self._watcher = self._environment(
                finalizer=_printable,
                loader=self._as_rendered,
            )
        return self._watcher

    def _locale_filter(
        self, name: str, use: str, function: Callable[..., str]
    ) -> Callable[..., str]:
        @pass_state
        def call(state: State, value: Any = None, *arguments: Any, **keywords: Any) -> str:  # noqa: ANN401 - any value of a template
            if self._is_trial:
                if any(map(samples.is_invented, (*arguments, *keywords.values()))):
                    return samples.TEXT
                value = samples.BY_FILTER[name] if samples.is_invented(value) else value
            if value is None:
                missing = MissingError(f"{name}: a value is missing")
                raise FilterFailedError("filter", use, state.name, missing)
            if isinstance(value, Null):
                value = None
            try:
                return function(self._sources[state.name][0], value, *arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError("filter", use, state.name, error) from None

        return call

    def _spoken(self, function: LanguageFilter, use: str) -> Callable[..., Any]:
        @pass_state
        def call(state: State, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
            language = self._sources[state.name][0]
            try:
                return function(language, self._is_trial, *arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError("filter", use, state.name, error) from None
            except TypeError:
                wrong = ArgumentError(f"{use}: an argument that it does not have")
                raise FilterFailedError("filter", use, state.name, wrong) from None

        return call

    def _guarded(self, kind: Kind, function: Callable[..., Any], use: str) -> Callable[..., Any]:
        @pass_state
        def call(state: State, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
            try:
                return function(*arguments, **keywords)
            except FilterError as error:
                raise FilterFailedError(kind, use, state.name, error) from None

        return call


def _given(language: str, source: str) -> str:
    """Return a source of a language as the engine gets it."""
    return prepared(renamed(language, marked(source)))


def _listed(language: str, value: object, /, *arguments: object, **named: object) -> str:
    return FILTERS["list"](language, bidi.items_isolated(value), *arguments, **named)


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
