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
from tasks.rendering.filters.language_filters import renamed
from tasks.rendering.html.slashes import with_own_references, with_slashes
from tasks.rendering.limits import Limits
from tasks.rendering.placed_values import placed_edits
from tasks.rendering.registration import Registration
from tasks.rendering.render_names import RENDER_NAMES
from tasks.rendering.rewriting import Edits, Rewritten, rewritten
from tasks.rendering.tags import COMMENT_START, code, prepared, tags
from tasks.rendering.tags import Kind as TagKind
from tasks.rendering.values import Unprintable, reaches_methods
from tasks.rendering.watcher import Watcher
from tasks.rendering.watching import Found, may_hold_a_value

FUEL: Final = 20_000_000
"""Engine steps of one render: more than a second of work, so that time is the limit in practice."""

# The type stub of the engine lacks it.
_SEMI_STRICT: Final[Any] = "semi_strict"
_PROBE: Final = "probe"
_RENDER_NAME: Final = re.compile(rf"\b(?:{'|'.join(sorted(RENDER_NAMES))})\b")
_MOST_PROBED: Final = 100
_CALLER: Final = re.compile(r"\|\s*((?:map|(?:select|reject)(?:attr)?)\s*\()")
_BY_TEXT: Final[Mapping[str, str]] = {
    "filter": r"map)\s*\(\s*(?:filter\s*=\s*)?",
    "test": (
        r"(?:select|reject)(?:attr)?)\s*\(\s*(?:(?:'[^']*'|\"[^\"]*\"|[\w.]+)\s*,\s*)??"
        r"(?:test\s*=\s*)?"
    ),
}
"""How a filter names another filter or test: what is between its bar and the quotes."""


class _Isolating(NamedTuple):
    """The text of a template for the engine: with its prints isolated, and as it was written."""

    isolated: str
    written: str


class Compiler:
    """Compiles sources of one kind of output, and renders them by the names it gives them.

    Parameters
    ----------
    limits
        How many sources are kept for the next render.
    escapes
        Whether values are escaped for HTML.
    replacing
        Filters that replace others of the same names.
    """

    _sees_prints = False
    """Whether the finalizer of the engine sees each print."""

    def __init__(
        self,
        limits: Limits,
        *,
        escapes: bool,
        replacing: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self._limits = limits
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
        """Drop the compiled sources if there are many; return whether. No name may be in use."""
        is_full = (
            len(self._names) > self._limits.compiled_sources
            or self._characters > self._limits.compiled_characters
        )
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

        ``isolates`` is whether its prints are isolated, as in right-to-left text.

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
        """Return whether the source of a name may call methods of its values."""
        return not self._reaching.isdisjoint(names)

    def asks_for_render(self, names: Iterable[str]) -> bool:
        """Return whether the source of a name may use names that the render gives."""
        return not self._asking.isdisjoint(names)

    def source(self, name: str) -> str:
        """Return the source of a name."""
        return self._sources[name][1]

    def rewritten(self, name: str) -> Rewritten:
        """Return the source that the engine compiled under a name."""
        return self._rewritten.get(name) or Rewritten(self._sources[name][1])

    def rewritten_or_none(self, name: str) -> Rewritten | None:
        """Return the same, or None for an unknown name."""
        return self._rewritten.get(name)

    def render(
        self,
        name: str,
        partials: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        is_trial: bool = False,
        is_checked: bool = False,
    ) -> str:
        """Return the output of a source.

        Parameters
        ----------
        name
            Result of :meth:`compile`.
        partials
            The names of the partials that it may use, by their ids.
        values
            Result of :func:`tasks.rendering.values.decode`.
        is_trial
            Whether values are invented, so that a filter that refuses one is not at fault.
        is_checked
            Whether a source with the same prints gave an output without a null or the like.

        Raises
        ------
        minijinja.TemplateError
            The engine failed.
        FilterFailedError
            A filter or test refused its input.
        NullPrintedError
            A null would have been printed.
        MemoryError
            The memory limit is reached.
        """
        self._partials, self._registration.is_trial = partials, is_trial
        try:
            return self._rendered(name, values, is_checked=is_checked)
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

    def _rendered(self, name: str, values: Mapping[str, Any], *, is_checked: bool = False) -> str:
        Unprintable.printed = False
        rendered = _rendered(self.environment, name, values)
        if Unprintable.printed:
            raise NullPrintedError
        # To see each print costs a call for it.
        if not (is_checked or self._sees_prints) and may_hold_a_value(
            rendered, self._sources[name][1], is_trial=self._registration.is_trial
        ):
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

    def filter_place(
        self,
        failed: FilterFailedError,
        name: str,
        partials: Mapping[str, str],
        values: Mapping[str, Any],
    ) -> int | None:
        """Return the position of a failed filter or test in its source, if known.

        The engine does not report where it called a filter. So where there are several uses, each
        gets a name of its own, and the render is done again. ``map`` and the like use one by a
        text; its place is theirs.
        """
        if failed.place is not None:
            return failed.place
        language, source = self._sources[failed.template]
        uses = _uses(source, failed.kind, failed.use)[:_MOST_PROBED]
        is_named = len(uses) < source.count(failed.use)
        if not uses:
            return _only_caller(source)
        if len(uses) < 2 and not is_named:  # noqa: PLR2004 - one use needs no search
            return uses[0].place
        aliases = [f"{failed.use}__{number}" for number in range(len(uses))]
        marked, last = [], 0
        for alias, (start, _) in zip(aliases, uses, strict=True):
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
            is_found = again.use in aliases
            return uses[aliases.index(again.use)].place if is_found else _only_caller(source)
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
            debug=False,  # else values are in error messages
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

    def _around(self, source: str) -> Edits:
        """Return the edits of the prints of a source that this kind of output needs."""
        return placed_edits(source) if self._escapes else Edits()

    def _add(self, name: str, language: str, source: str) -> Rewritten:
        """Give the engine a source by a name; return what it compiled."""
        around = self._around(source)
        own = plural_calls.marked(source)
        guarded = rewritten(own, around)
        try:
            self._use({name: self._prepared(language, guarded.text)})
        except TemplateError:
            # Its words and its place are about what the author wrote.
            self.environment.undeclared_variables_in_str(self._prepared(language, source))
            guarded = around.applied(own)
            self._use({name: self._prepared(language, guarded.text)})
        return guarded

    def _use(self, texts: Mapping[str, str]) -> None:
        """Have the engine use texts by their names, which other texts may have had before."""
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


class _Use(NamedTuple):
    """Place of a filter's or test's name, and of the filter that uses it."""

    start: int
    place: int


def _uses(source: str, kind: Kind, name: str) -> list[_Use]:
    """Return the places in ``source`` at which a filter or test is used."""
    before = r"(?:\||\bfilter)\s*" if kind == "filter" else r"\bis\s+(?:not\s+)?"
    use = re.compile(rf"{before}({re.escape(name)})(?!\w)")
    by_text = re.compile(rf"\|\s*({_BY_TEXT[kind]}(['\"])({re.escape(name)})\2")
    uses = [
        _Use(start + match.start(1), start + match.start(1))
        for start, text in code(source)
        for match in use.finditer(text)
    ]
    for tag in tags(source):
        text = source[tag.start : tag.end]
        uses += [
            _Use(tag.start + match.start(3), tag.start + match.start(1))
            for match in by_text.finditer(text if tag.kind is not TagKind.COMMENT else "")
        ]
    return sorted(uses)


def _only_caller(source: str) -> int | None:
    """Return the place of the filter that uses others by a value, if there is one such filter."""
    found = [
        start + match.start(1) for start, text in code(source) for match in _CALLER.finditer(text)
    ]
    return found[0] if len(found) == 1 else None
