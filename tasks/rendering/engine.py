"""Rendering: texts of a version and values become the parts of a notification.

It runs in the render process (:mod:`tasks.rendering.process`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from minijinja import TemplateError

from tasks.errors import MOST_PROBLEMS, Problem
from tasks.rendering import inspection, markdown
from tasks.rendering.compiler import Compiler, FilterFailedError, NullPrintedError
from tasks.rendering.explain import (
    ErrorContext,
    SourceError,
    explained,
    filter_failed,
    null_printed,
    unfit_operation,
)
from tasks.rendering.html_contexts import has_dangerous_address
from tasks.rendering.json_documents import Document, JsonCompiler, document
from tasks.rendering.limits import Limits
from tasks.rendering.outputs import SUBJECT_CHARACTERS, is_html, one_line, sha256, without_nul
from tasks.rendering.plain_text import finished, has_markup, text_of, text_source, without_rules
from tasks.rendering.preheaders import with_preheader
from tasks.rendering.sms import count
from tasks.rendering.texts import Part, Text
from tasks.rendering.values import decode


@dataclass(frozen=True, slots=True)
class _CompiledSource:
    """A compiled source and the compiled partials that it may use, by their ids.

    ``has_marks`` tells whether its output has the marks of a text that was derived from HTML.
    """

    compiler: Compiler
    name: str
    partials: Mapping[str, str]
    has_marks: bool = False

    def reaches_methods(self) -> bool:
        """Tell whether any of the sources may call methods of its values."""
        return self.compiler.reaches_methods([self.name, *self.partials.values()])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text that is compiled.

    ``plain`` is its plain-text alternative, where it has one: derived from the body, unless
    ``own_text`` is there. ``reaches_methods`` tells whether its sources may come to the methods of
    their values, ``markdown`` has the names of those that are Markdown.
    """

    text: Text
    subject: _CompiledSource | None
    body: _CompiledSource
    plain: _CompiledSource | None
    own_text: _CompiledSource | None
    preheader: _CompiledSource | None
    reaches_methods: bool
    markdown: Sequence[str]


class Engine:
    """Compiles and renders texts."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._html = Compiler(escapes=True)
        self._text = Compiler(escapes=False)
        self._json = JsonCompiler()

    def forget(self) -> None:
        """Bound what is kept of earlier texts; nothing prepared before may be used after."""
        self._html.forget()
        self._text.forget()
        self._json.forget()

    def prepare(self, text: Text) -> Prepared:
        """Return a compiled text.

        Raises
        ------
        SourceError
            ``template_syntax``, with line and column.
        """
        body = self._compile_part(self._compiler_of(text["type"]), text, "body")
        subject = (
            None if text["subject"] is None else self._compile_part(self._text, text, "subject")
        )
        own_text = self._compile_part(self._text, text, "text") if "text" in text else None
        preheader = (
            self._compile_part(self._text, text, "preheader") if "preheader" in text else None
        )
        is_derived = text["type"] == "email" and own_text is None
        return Prepared(
            text=text,
            subject=subject,
            body=body,
            plain=self._plain(text) if is_derived else None,
            own_text=own_text,
            preheader=preheader,
            reaches_methods=body.reaches_methods()
            or (subject is not None and subject.reaches_methods())
            or (own_text is not None and own_text.reaches_methods())
            or (preheader is not None and preheader.reaches_methods()),
            markdown=text.get("markdown", ()),
        )

    def values(self, ready: Prepared, payload: bytes) -> dict[str, Any]:
        """Return the values in a JSON object, as a text needs them."""
        return decode(payload, plain=not ready.reaches_methods)

    def render(self, ready: Prepared, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the finished parts: subject and body, and what else the type has.

        Parameters
        ----------
        ready
            As :meth:`prepare` gave it.
        values
            As :func:`tasks.rendering.values.decode` gives them.

        Raises
        ------
        SourceError
            ``variables_invalid``, ``template_syntax`` or ``render_limit_exceeded``.
        """
        subject = self.subject(ready, values)
        if ready.text["type"] == "json":
            body, parsed = self._document(ready, values, is_trial=False)
            return {
                "subject": subject,
                "body": body,
                "document": parsed,
                "content_sha256": sha256(subject, body),
            }
        body = self.body(ready, values)
        parts: dict[str, Any] = {"subject": subject, "body": body}
        match ready.text["type"]:
            case "email":
                own = self.own_text(ready, values)
                parts["text"] = self._alternative(ready, values, body) if own is None else own
                preheader = self.preheader(ready, values)
                if preheader is not None:
                    parts["preheader"] = preheader
                    parts["body"] = body = with_preheader(body, preheader)
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
        line = one_line(self._run_text(ready, ready.subject, "subject", values, is_trial=is_trial))
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
        if ready.text["type"] == "json":
            return self._document(ready, values, is_trial=is_trial).text
        if ready.body.compiler is not self._html:
            return self._text_part(ready, ready.body, "body", values, is_trial=is_trial)
        html: Sequence[str] = ()
        if ready.markdown:
            values, html = markdown.as_marks(values, ready.markdown)
        body = without_nul(self._run(ready.body, "body", values, is_trial=is_trial))
        if html:
            body = markdown.filled(body, html, ready.text["body"])
        self._require_size(body, "body")
        partials = (used["body"] for used in ready.text["partials"].values())
        if has_dangerous_address(body, [ready.text["body"], *partials]):
            message = "a value would become an address that runs a script"
            raise SourceError.values("body", "dangerous_address", message)
        return body

    def own_text(
        self, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool = False
    ) -> str | None:
        """Return the finished text part that the author wrote, if there is one.

        Raises
        ------
        SourceError
            As for :meth:`render`.
        """
        if ready.own_text is None:
            return None
        return self._text_part(ready, ready.own_text, "text", values, is_trial=is_trial)

    def preheader(
        self, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool = False
    ) -> str | None:
        """Return a finished preheader, which is one line, if there is one.

        Raises
        ------
        SourceError
            As for :meth:`render`.
        """
        if ready.preheader is None:
            return None
        line = self._run_text(ready, ready.preheader, "preheader", values, is_trial=is_trial)
        return one_line(line)

    def inspect(
        self, source: str, path: str, *, html: bool, needs: Mapping[str, list[str]]
    ) -> tuple[list[str] | None, list[Problem]]:
        """Return the placeholders of a source, and what is wrong with it.

        ``needs`` holds the placeholders of the partials that it uses, by their ids. A source that
        does not compile has None for placeholders.
        """
        compiler = self._html if html else self._text
        try:
            inspection.refuse_autoescape(source, path)
            names = inspection.placeholders(compiler.environment, source, needs)
        except SourceError as error:
            return None, [error.problem]
        except TemplateError as error:
            context = ErrorContext(path, source, {}, {}, lambda _: ())
            return None, [explained(error, context).problem]
        problems = inspection.problems(compiler.environment, source, path, html=html)
        return names, list(islice(problems, MOST_PROBLEMS + 1))

    def _compile_part(self, compiler: Compiler, text: Text, part: Part) -> _CompiledSource:
        partials = {}
        has_marks = False
        for key, used in text["partials"].items():
            # Partials are HTML: in a text they give what a reader would see of it.
            derive = text_source if compiler is self._text and has_markup(used["body"]) else None
            has_marks = has_marks or derive is not None
            partials[key] = self._compile(compiler, used["language"], used["body"], part, derive)
        name = self._compile(compiler, text["language"], text.get(part) or "", part)
        return _CompiledSource(compiler, name, partials, has_marks)

    def _compiler_of(self, kind: str) -> Compiler:
        if kind == "json":
            return self._json
        return self._html if is_html(kind) else self._text

    def _compile(
        self,
        compiler: Compiler,
        language: str,
        source: str,
        path: Part,
        derive: Callable[[str], str] | None = None,
    ) -> str:
        inspection.refuse_autoescape(source, path)
        try:
            if derive is not None:
                return compiler.compile_derived(language, source, derive)
            return compiler.compile(language, source)
        except TemplateError as error:
            raise explained(error, ErrorContext(path, source, {}, {}, lambda _: ())) from None

    def _plain(self, text: Text) -> _CompiledSource | None:
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
        return _CompiledSource(self._text, name, partials)

    def _alternative(self, ready: Prepared, values: Mapping[str, Any], body: str) -> str:
        plain = ready.plain
        if plain is not None:
            if ready.markdown:
                values = markdown.as_marked_text(values, ready.markdown)
            try:
                rendered = plain.compiler.render(plain.name, plain.partials, values)
            except (TemplateError, FilterFailedError, NullPrintedError):
                return text_of(body)
            return finished(without_nul(rendered))
        return text_of(body)

    def _document(self, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool) -> Document:
        values = markdown.as_text(values, ready.markdown)
        output = self._run(ready.body, "body", values, is_trial=is_trial)
        try:
            result = document(output, ready.text["body"])
        except NullPrintedError:
            raise null_printed(_context(ready.body, "body", values)) from None
        self._require_size(result.text, "body")
        return result

    def _text_part(
        self,
        ready: Prepared,
        compiled: _CompiledSource,
        path: Part,
        values: Mapping[str, Any],
        *,
        is_trial: bool,
    ) -> str:
        text = without_nul(self._run_text(ready, compiled, path, values, is_trial=is_trial))
        self._require_size(text, path)
        return text

    def _run_text(
        self,
        ready: Prepared,
        compiled: _CompiledSource,
        path: Part,
        values: Mapping[str, Any],
        *,
        is_trial: bool,
    ) -> str:
        if ready.markdown:
            values = markdown.as_text(values, ready.markdown)
        text = self._run(compiled, path, values, is_trial=is_trial)
        if not compiled.has_marks:
            return text
        text = finished(text, keeps_space=True)
        # A line across the page is no part of a text of one line.
        return text if path in {"body", "text"} else without_rules(text)

    def _require_size(self, text: str, path: Part) -> None:
        size = len(text.encode())
        if size > self._limits.output_bytes:
            raise SourceError.limit(
                path, f"the output is {size} bytes, the limit is {self._limits.output_bytes}"
            )

    def _run(
        self, compiled: _CompiledSource, path: Part, values: Mapping[str, Any], *, is_trial: bool
    ) -> str:
        if "self" in values:
            # The engine's own name, and its Python method's: no template can use such a value.
            values = {name: value for name, value in values.items() if name != "self"}
        try:
            return compiled.compiler.render(
                compiled.name, compiled.partials, values, is_trial=is_trial
            )
        except TemplateError as error:
            raise explained(error, _context(compiled, path, values)) from None
        except NullPrintedError:
            raise null_printed(_context(compiled, path, values)) from None
        except FilterFailedError as failed:
            place = compiled.compiler.place_of(failed, compiled.name, compiled.partials, values)
            raise filter_failed(failed, _context(compiled, path, values), place) from None
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - whatever Python says of a value may quote it
            # Values reach Python in filters, in the finalizer and in methods of objects.
            raise unfit_operation(path) from None


def _context(compiled: _CompiledSource, path: Part, values: Mapping[str, Any]) -> ErrorContext:
    compiler = compiled.compiler
    return ErrorContext(
        path=path,
        source=compiler.source(compiled.name),
        partials={name: (key, compiler.source(name)) for key, name in compiled.partials.items()},
        values=values,
        placeholders=lambda source: inspection.placeholders(compiler.environment, source, {}),
    )
