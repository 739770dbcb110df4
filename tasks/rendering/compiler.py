"""MiniJinja, set up so that templates reach nothing but their values.

It runs in the render process (:mod:`tasks.rendering.process`); the engine's fuel bounds steps, the
process's limits bound time and memory.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from minijinja import Environment, TemplateError

from tasks.rendering import bidi, plural_calls
from tasks.rendering.failures import FilterFailedError, Kind, NullPrintedError
from tasks.rendering.language_filters import renamed
from tasks.rendering.placed_values import placed_edits
from tasks.rendering.registration import Registration
from tasks.rendering.render_names import RENDER_NAMES
from tasks.rendering.rewriting import Edits, Rewritten, rewritten
from tasks.rendering.slashes import with_own_references, with_slashes
from tasks.rendering.tags import COMMENT_START, code, prepared
from tasks.rendering.values import Unprintable, reaches_methods
from tasks.rendering.watcher import Watcher
from tasks.rendering.watching import Found, may_hold_a_value

FUEL: Final = 20_000_000
"""Engine steps of one render: more than a second of work, so that time is the limit in practice."""

MOST_COMPILED: Final = 512
MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""Of the compiled sources that are kept for the next render."""

# The type stub of the engine lacks it.
_SEMI_STRICT: Final[Any] = "semi_strict"
_PROBE: Final = "probe"
_RENDER_NAME: Final = re.compile(rf"\b(?:{'|'.join(sorted(RENDER_NAMES))})\b")
_MOST_PROBED: Final = 100


class _Isolating(NamedTuple):
    """The text of a template for the engine: with its prints isolated, and as it was written."""

    isolated: str
    written: str


class Compiler:
    """Compiles sources of one kind of output, and renders them by the names it gives them.

    Parameters
    ----------
    escapes
        Whether values are escaped for HTML.
    replacing
        Filters in the place of others of the same names.
    """

    _sees_prints = False
    """Whether the finalizer of the engine sees each print."""

    def __init__(
        self, *, escapes: bool, replacing: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self._escapes = escapes
        self._sources: dict[str, tuple[str, str]] = {}
        self._registration = Registration(self._sources, escapes=escapes, replacing=replacing or {})
        self.environment = self._environment()
        self._texts: dict[str, str] = {}
        self._watcher = Watcher(self._environment, self.source, self._texts)
        self._names: dict[tuple[str, str], str] = {}
        self._isolating: dict[str, _Isolating] = {}
        self._asking: set[str] = set()
        self._rewritten: dict[str, Rewritten] = {}
        self._derived: dict[tuple[str, str], str] = {}
        self._reaching: set[str] = set()
        self._characters = 0
        self._partials: Mapping[str, str] = {}

    def forget(self) -> bool:
        """Drop the compiled sources if there are many, and tell so; no name may be in use."""
        is_full = len(self._names) > MOST_COMPILED or self._characters > MOST_CHARACTERS
        if is_full:
            self.environment.clear_templates()
            self._watcher.forget()
            self._names.clear()
            self._sources.clear()
            self._texts.clear()
            self._isolating.clear()
            self._asking.clear()
            self._rewritten.clear()
            self._derived.clear()
            self._reaching.clear()
            self._characters = 0
        return is_full

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
            self._rewritten[name] = self._add(name, language, source)
            self._names[language, source] = name
            self._sources[name] = language, source
            self._characters += len(source)
            if reaches_methods(source):
                self._reaching.add(name)
            if _RENDER_NAME.search(source):
                self._asking.add(name)
            if isolates:
                written = self._texts[name]
                self._add(name, language, bidi.with_isolates(source, html=self._escapes))
                self._isolating[name] = _Isolating(self._texts[name], written)
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
        self._partials, self._registration.is_trial = partials, is_trial
        try:
            return self._rendered(name, values)
        except (TemplateError, FilterFailedError, NullPrintedError):
            isolating = self._isolating.keys() & {name, *partials.values()}
            if not isolating:
                raise
        # Once more as their authors wrote them, so that the error has its place.
        self._use({each: self._isolating[each].written for each in isolating})
        try:
            return self._rendered(name, values)
        finally:
            self._use({each: self._isolating[each].isolated for each in isolating})

    def _rendered(self, name: str, values: Mapping[str, Any]) -> str:
        Unprintable.printed = False
        rendered = _rendered(self.environment, name, values)
        if Unprintable.printed:
            raise NullPrintedError
        # To see each print costs a call for it.
        if not self._sees_prints and may_hold_a_value(rendered, self._sources[name][1]):
            again, found = self._watcher.watch(name, values)
            is_read = all(map(self._watcher.reads, (name, *self._partials.values())))
            if found or not (is_read or again == rendered):
                raise NullPrintedError
        return with_slashes(rendered) if self._escapes else rendered

    def watch(
        self,
        name: str,
        partials: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        is_trial: bool = False,
    ) -> tuple[str | None, list[Found]]:
        """Render once more; return the output and the prints that must not be.

        The output is None where the render fails, with what was found before that.
        """
        self._partials, self._registration.is_trial = partials, is_trial
        return self._watcher.watch(name, values)

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
            self._registration.add(self.environment, failed.kind, failed.use, alias)
        self._sources[_PROBE] = language, source
        probe = "".join([*marked, source[last:]])
        self._rewritten[_PROBE] = self._add(_PROBE, language, probe)
        try:
            self.render(
                _PROBE if name == failed.template else name,
                {
                    key: _PROBE if value == failed.template else value
                    for key, value in partials.items()
                },
                values,
                is_trial=self._registration.is_trial,
            )
        except FilterFailedError as again:
            return uses[aliases.index(again.use)] if again.use in aliases else None
        except (TemplateError, NullPrintedError):
            return None
        finally:
            self.environment.remove_template(_PROBE)
            self._rewritten.pop(_PROBE, None)
            self._texts.pop(_PROBE, None)
            self._watcher.forget()
            del self._sources[_PROBE]
            for alias in aliases:
                if failed.kind == "filter":
                    self.environment.remove_filter(alias)
                else:
                    self.environment.remove_test(alias)
        return None

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
        self._registration.register(environment)
        return environment

    def _add(self, name: str, language: str, source: str) -> Rewritten:
        """Give the engine a source by a name; return what it compiled."""
        placed = placed_edits(source) if self._escapes else Edits()
        own = plural_calls.marked(source)
        guarded = rewritten(own, placed)
        try:
            self._use({name: self._prepared(language, guarded.text)})
        except TemplateError:
            # Its words and its place are about what the author wrote.
            self.environment.undeclared_variables_in_str(self._prepared(language, source))
            guarded = placed.applied(own)
            self._use({name: self._prepared(language, guarded.text)})
        return guarded

    def _use(self, texts: Mapping[str, str]) -> None:
        """Have the engine use texts by their names, which may be those of others."""
        if not self._texts.keys().isdisjoint(texts):
            self._watcher.forget()  # it has the others
        for name, text in texts.items():
            self.environment.add_template(name, text)
            self._texts[name] = text

    def _prepared(self, language: str, source: str) -> str:
        own = renamed(language, source)
        return prepared(with_own_references(own) if self._escapes else own)


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
