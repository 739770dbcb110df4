"""Texts before they are rendered: each part and the partials that it may use, compiled.

It runs in the render process (:mod:`tasks.rendering.process`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minijinja import TemplateError

from tasks.rendering import inspection
from tasks.rendering.bidi import with_isolates
from tasks.rendering.checks.captures import is_entangled
from tasks.rendering.compiled import CompiledSource
from tasks.rendering.compiler import Compiler
from tasks.rendering.explain import ErrorContext, explained
from tasks.rendering.json_documents import JsonCompiler
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters.directions import is_right_to_left
from tasks.rendering.locale_filters.gsm import for_sms
from tasks.rendering.outputs import is_html
from tasks.rendering.paths import Path, steps_of
from tasks.rendering.plain_text import has_markup, is_certain, text_source
from tasks.rendering.texts import Part, Text


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text that is compiled.

    ``plain`` is its plain-text alternative, where it has one: derived from the body, unless
    ``own_text`` is there. ``reaches_methods`` is whether its sources may come to the methods of
    their values. ``optional`` are the paths of values that may be left out, ``decimals`` and
    ``markdown`` the paths of decimal numbers and of Markdown.
    """

    text: Text
    subject: CompiledSource | None
    body: CompiledSource
    plain: CompiledSource | None
    own_text: CompiledSource | None
    preheader: CompiledSource | None
    reaches_methods: bool
    optional: tuple[Path, ...]
    decimals: tuple[Path, ...]
    markdown: tuple[Path, ...]


class Preparation:
    """The compilers of each kind of output; compiles texts with them."""

    def __init__(self, limits: Limits) -> None:
        self.html = Compiler(limits, escapes=True)
        self.text = Compiler(limits, escapes=False)
        self._json = JsonCompiler(limits)
        self._entangled: dict[str, bool] = {}
        self._certain: dict[tuple[str, ...], bool] = {}

    def forget(self) -> bool:
        """Bound what is kept of earlier texts; return whether any went.

        Nothing prepared before may be used after that.
        """
        is_full = self.html.forget()
        if is_full:  # whose sources these are
            self._entangled.clear()
            self._certain.clear()
        return any([is_full, self.text.forget(), self._json.forget()])

    def prepare(self, text: Text) -> Prepared:
        """Return a compiled text.

        Raises
        ------
        SourceError
            ``template_syntax``, with line and column.
        """
        body = self._part(self._compiler_of(text["type"]), text, "body")
        subject = None if text["subject"] is None else self._part(self.text, text, "subject")
        own_text = self._part(self.text, text, "text") if "text" in text else None
        preheader = self._part(self.text, text, "preheader") if "preheader" in text else None
        is_derived = text["type"] == "email" and own_text is None
        return Prepared(
            text=text,
            subject=subject,
            body=body,
            plain=self._plain(text) if is_derived else None,
            own_text=own_text,
            preheader=preheader,
            # What an object of a producer lacks is not in its JSON; of one that the template makes,
            # which is of another class then, it is an error.
            reaches_methods=text["type"] == "json"
            or any(
                part is not None and part.reaches_methods()
                for part in (body, subject, own_text, preheader)
            ),
            optional=tuple(map(steps_of, text.get("optional", ()))),
            decimals=tuple(map(steps_of, text.get("decimals", ()))),
            markdown=tuple(map(steps_of, text.get("markdown", ()))),
        )

    def _compiler_of(self, kind: str) -> Compiler:
        if kind == "json":
            return self._json
        return self.html if is_html(kind) else self.text

    def _part(self, compiler: Compiler, text: Text, part: Part) -> CompiledSource:
        spoken = for_sms if text["type"] == "sms" else str
        partials = {}
        has_marks = False
        for key, used in text["partials"].items():
            language = spoken(used["language"])
            # Partials are HTML: in a text they give what a reader would see of it.
            is_derived = compiler is self.text and has_markup(used["body"])
            partials[key] = self._compile(
                compiler, language, used["body"], part, is_derived=is_derived
            )
            has_marks = has_marks or is_derived
        language, source = spoken(text["language"]), text.get(part) or ""
        name = self._compile(compiler, language, source, part, is_derived=False)
        return CompiledSource(compiler, name, partials, text["language"], has_marks)

    def _compile(
        self, compiler: Compiler, language: str, source: str, path: Part, *, is_derived: bool
    ) -> str:
        """Return the name of a source; with ``is_derived``, of the text of an HTML source."""
        inspection.refuse_autoescape(source, path)
        try:
            if is_derived:
                return _text_of(compiler, language, source)
            # Programs read JSON: what they get of a value must be the value.
            isolates = compiler is not self._json and is_right_to_left(language)
            return compiler.compile(language, source, isolates=isolates)
        except TemplateError as error:
            raise explained(error, ErrorContext(path, source, {}, {}, lambda _: ())) from None

    def _is_entangled(self, source: str) -> bool:
        if source not in self._entangled:
            self._entangled[source] = is_entangled(source)
        return self._entangled[source]

    def _is_certain(self, bodies: Sequence[str]) -> bool:
        key = tuple(bodies)
        if key not in self._certain:
            self._certain[key] = is_certain(bodies)
        return self._certain[key]

    def _plain(self, text: Text) -> CompiledSource | None:
        """Return the compiled source of the plain-text alternative.

        None where no source can be made of the HTML; then the alternative is made of each finished
        body, which takes longer.
        """
        bodies = [text["body"], *(used["body"] for used in text["partials"].values())]
        if any(map(self._is_entangled, bodies)) or not self._is_certain(bodies):
            return None
        try:
            partials = {
                name: _text_of(self.text, used["language"], used["body"])
                for name, used in text["partials"].items()
            }
            name = _text_of(self.text, text["language"], text["body"])
        except TemplateError:
            return None
        return CompiledSource(self.text, name, partials, text["language"])


def _text_of(compiler: Compiler, language: str, source: str) -> str:
    """Return the name of the text of an HTML source."""
    if is_right_to_left(language):
        source = with_isolates(source, html=True)
    return compiler.compile_derived(language, source, text_source)
