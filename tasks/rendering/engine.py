"""Rendering: texts of a version and values become the parts of a notification.

It runs in the render process (:mod:`tasks.rendering.process`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from minijinja import TemplateError

from tasks.errors import MOST_PROBLEMS, Problem
from tasks.rendering import diagnosis, inspection
from tasks.rendering.compiled import CompiledSource
from tasks.rendering.compiler import (
    Compiler,
    FilterFailedError,
    NullPrintedError,
)
from tasks.rendering.explain import ErrorContext, SourceError, explained
from tasks.rendering.html_contexts import has_dangerous_address
from tasks.rendering.kinds import Kind
from tasks.rendering.limits import Limits
from tasks.rendering.numbers import made_exact
from tasks.rendering.outputs import SUBJECT_CHARACTERS, is_html, one_line, sha256, without_nul
from tasks.rendering.paths import Path, steps_of
from tasks.rendering.plain_text import finished, text_of, text_source
from tasks.rendering.sms import count
from tasks.rendering.texts import Part, Text
from tasks.rendering.usage import Use, mixed_comparisons, printed_paths, uses_of
from tasks.rendering.values import decode, left_out

# Wherever it stands, a comment or raw block too: telling those apart from strings that look like
# them would take the engine's own lexer, and a mistake in it would switch escaping off.
_AUTOESCAPE: Final = re.compile(r"\{%[-+]?\s*(autoescape)\b")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text that is compiled.

    ``plain`` is its plain-text alternative, where it has one. ``reaches_methods`` tells whether its
    sources may come to the methods of their values. ``optional`` are the paths of values that may
    be left out, ``decimals`` those of decimal numbers.
    """

    text: Text
    subject: CompiledSource | None
    body: CompiledSource
    plain: CompiledSource | None
    reaches_methods: bool
    optional: tuple[Path, ...]
    decimals: tuple[Path, ...]


class Engine:
    """Compiles and renders texts."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._html = Compiler(escapes=True)
        self._text = Compiler(escapes=False)

    def forget(self) -> None:
        """Bound what is kept of earlier texts; nothing prepared before may be used after."""
        self._html.forget()
        self._text.forget()

    def prepare(self, text: Text) -> Prepared:
        """Return a compiled text.

        Raises
        ------
        SourceError
            ``template_syntax``, with line and column.
        """
        compiler = self._html if is_html(text["type"]) else self._text
        body = self._compile_part(compiler, text, "body")
        subject = (
            None if text["subject"] is None else self._compile_part(self._text, text, "subject")
        )
        return Prepared(
            text=text,
            subject=subject,
            body=body,
            plain=self._plain(text) if text["type"] == "email" else None,
            reaches_methods=body.reaches_methods()
            or (subject is not None and subject.reaches_methods()),
            decimals=tuple(map(steps_of, text.get("decimals", ()))),
            optional=tuple(map(steps_of, text.get("optional", ()))),
        )

    def values(self, ready: Prepared, payload: bytes) -> dict[str, Any]:
        """Return the values in a JSON object, as a text needs them."""
        values = decode(payload, plain=not ready.reaches_methods)
        if ready.decimals:
            values = made_exact(values, ready.decimals)
        return left_out(values, ready.optional) if ready.optional else values

    def render(
        self, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool = False
    ) -> dict[str, Any]:
        """Return the finished parts: subject and body, and what else the type has.

        Parameters
        ----------
        ready
            As :meth:`prepare` gave it.
        values
            As :func:`tasks.rendering.values.decode` gives them.
        is_trial
            Whether values are invented.

        Raises
        ------
        SourceError
            ``variables_invalid``, ``template_syntax`` or ``render_limit_exceeded``.
        """
        subject = self.subject(ready, values, is_trial=is_trial)
        body = self.body(ready, values, is_trial=is_trial)
        parts: dict[str, Any] = {"subject": subject, "body": body}
        match ready.text["type"]:
            case "email":
                parts["text"] = self._alternative(ready, values, body, is_trial=is_trial)
            case "sms":
                counted = count(body)
                parts["encoding"] = counted.encoding
                parts["length"] = counted.length
                parts["segments"] = counted.segments
            case "push":
                parts["title"] = subject
        parts["content_sha256"] = sha256(subject, body)
        return parts

    def subject(
        self, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool = False
    ) -> str | None:
        """Return a finished subject: one line of at most 998 characters.

        Raises
        ------
        SourceError
            As for :meth:`render`.
        """
        if ready.subject is None:
            return None
        line = one_line(self._run(ready.subject, "subject", values, is_trial=is_trial))
        if len(line) > SUBJECT_CHARACTERS:
            raise SourceError.limit(
                "subject",
                f"the subject is {len(line)} characters, the limit is {SUBJECT_CHARACTERS}",
            )
        return line

    def body(self, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool = False) -> str:
        """Return a finished body.

        Raises
        ------
        SourceError
            As for :meth:`render`.
        """
        body = without_nul(self._run(ready.body, "body", values, is_trial=is_trial))
        size = len(body.encode())
        if size > self._limits.output_bytes:
            raise SourceError.limit(
                "body", f"the output is {size} bytes, the limit is {self._limits.output_bytes}"
            )
        if ready.body.compiler is self._html and has_dangerous_address(body, _bodies(ready.text)):
            message = "a value would become an address that runs a script"
            raise SourceError.values("body", "dangerous_address", message)
        return body

    def inspect(
        self, source: str, path: str, *, html: bool, needs: Mapping[str, list[str]]
    ) -> tuple[list[str] | None, list[Problem]]:
        """Return the placeholders of a source, and what is wrong with it.

        ``needs`` holds the placeholders of the partials that it uses, by their ids. A source that
        does not compile has None for placeholders.
        """
        compiler = self._html if html else self._text
        try:
            _refuse_autoescape(source, path)
            names = inspection.placeholders(compiler.environment, source, needs)
        except SourceError as error:
            return None, [error.problem]
        except TemplateError as error:
            context = ErrorContext(path, source, {}, {}, lambda _: ())
            return None, [explained(error, context).problem]
        problems = inspection.problems(compiler.environment, source, path, html=html)
        return names, list(islice(problems, MOST_PROBLEMS + 1))

    def uses(self, texts: Iterable[Text]) -> list[Use] | None:
        """Return the uses of variables in texts and their partials.

        None where the syntax of one cannot be read.
        """
        own_names = inspection.names_of_the_engine(self._text.environment)
        found: list[Use] = []
        for text in texts:
            sources = [source for source in (text["subject"], text["body"]) if source is not None]
            partials = {name: used["body"] for name, used in text["partials"].items()}
            uses = uses_of(sources, partials, own_names)
            if uses is None:
                return None
            found += uses
        return found

    def mixed_comparisons(self, source: str, kinds: Mapping[Path, Kind]) -> list[int]:
        """Return the places at which a source compares a text with a number, by their types."""
        own_names = inspection.names_of_the_engine(self._text.environment)
        return mixed_comparisons(source, own_names, kinds)

    def printed_paths(self, source: str) -> list[tuple[int, Path]]:
        """Return the places at which a source prints values as they are, and their paths."""
        return printed_paths(source, inspection.names_of_the_engine(self._text.environment))

    def _compile_part(self, compiler: Compiler, text: Text, part: Part) -> CompiledSource:
        partials = {
            name: self._compile(compiler, used["language"], used["body"], part)
            for name, used in text["partials"].items()
        }
        name = self._compile(compiler, text["language"], text[part] or "", part)
        return CompiledSource(compiler, name, partials)

    def _compile(self, compiler: Compiler, language: str, source: str, path: Part) -> str:
        _refuse_autoescape(source, path)
        try:
            return compiler.compile(language, source)
        except TemplateError as error:
            raise explained(error, ErrorContext(path, source, {}, {}, lambda _: ())) from None

    def _plain(self, text: Text) -> CompiledSource | None:
        """Return the compiled source of the plain-text alternative.

        None where no source can be made of the HTML; then the alternative is made of each finished
        body, which takes longer.
        """
        try:
            partials = {
                name: self._text.compile_derived(used["language"], used["body"], text_source)
                for name, used in text["partials"].items()
            }
            name = self._text.compile_derived(text["language"], text["body"], text_source)
        except TemplateError:
            return None
        return CompiledSource(self._text, name, partials)

    def _alternative(
        self, ready: Prepared, values: Mapping[str, Any], body: str, *, is_trial: bool
    ) -> str:
        plain = ready.plain
        if plain is not None:
            try:
                rendered = plain.compiler.render(
                    plain.name, plain.partials, values, is_trial=is_trial
                )
            except (TemplateError, FilterFailedError, NullPrintedError):
                return text_of(body)
            return finished(without_nul(rendered))
        return text_of(body)

    def _run(
        self, compiled: CompiledSource, path: Part, values: Mapping[str, Any], *, is_trial: bool
    ) -> str:
        if "self" in values:
            # The engine's own name, and its Python method's: no template can use such a value.
            values = {name: value for name, value in values.items() if name != "self"}
        try:
            return compiled.compiler.render(
                compiled.name, compiled.partials, values, is_trial=is_trial
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever Python says of a value may quote it
            # Values reach Python in filters, in the finalizer and in methods of objects.
            raise diagnosis.of(error, compiled, path, values, is_trial=is_trial) from None


def _bodies(text: Text) -> list[str]:
    return [text["body"], *(used["body"] for used in text["partials"].values())]


def _refuse_autoescape(source: str, path: str) -> None:
    if match := _AUTOESCAPE.search(source):
        message = "autoescape is not available: escaping follows the type of the template"
        raise SourceError.syntax(path, "autoescape", message, source, match.start(1))
