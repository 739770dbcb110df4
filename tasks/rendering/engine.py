"""Rendering: texts of a version and values become the parts of a notification.

It runs in the render process (:mod:`tasks.rendering.process`).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from minijinja import TemplateError

from tasks.errors import MOST_PROBLEMS, Problem
from tasks.rendering import diagnosis, inspection, markdown
from tasks.rendering.bidi import with_whole_addresses, without_controls
from tasks.rendering.compiled import CompiledSource
from tasks.rendering.explain import ErrorContext, SourceError, explained
from tasks.rendering.failures import FilterFailedError, NullPrintedError
from tasks.rendering.frames import decode as decoded
from tasks.rendering.hints.foreign_tags import foreign_tags
from tasks.rendering.html.addresses import dangerous_address
from tasks.rendering.json_documents import Document, document
from tasks.rendering.limits import Limits
from tasks.rendering.numbers import made_exact
from tasks.rendering.outputs import (
    ISOLATES,
    SUBJECT_CHARACTERS,
    is_html,
    one_line,
    sha256,
    without_nul,
)
from tasks.rendering.plain_text import finished, text_of, without_rules
from tasks.rendering.plain_text.marks import without_escaped_marks
from tasks.rendering.preheaders import with_preheader
from tasks.rendering.preparation import Preparation, Prepared
from tasks.rendering.sms import beyond_gsm, count
from tasks.rendering.texts import PARTS, Part, Text
from tasks.rendering.usage.inference import item_names, optional_names
from tasks.rendering.usage.scopes import Use
from tasks.rendering.usage.traces import Traces
from tasks.rendering.usage.uses import traces, uses_of
from tasks.rendering.values import decode, left_out

_ISOLATES: Final = frozenset(ISOLATES)


class Engine:
    """Compiles and renders texts."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._compilers = Preparation(limits)
        self._own_names = inspection.names_of_the_engine(self._compilers.text.environment)
        self._prepared: dict[bytes, Prepared] = {}
        self._prepared_bytes = 0

    def forget(self) -> None:
        """Bound what is kept of earlier texts; nothing prepared before may be used after."""
        is_full = (
            len(self._prepared) > self._limits.compiled_sources
            or self._prepared_bytes > self._limits.compiled_characters
        )
        if self._compilers.forget() or is_full:
            self._prepared.clear()
            self._prepared_bytes = 0

    def prepare(self, text: Text) -> Prepared:
        """Return a compiled text.

        Raises
        ------
        SourceError
            ``template_syntax``, with line and column.
        """
        return self._compilers.prepare(text)

    def prepared(self, encoded: bytes) -> Prepared:
        """Return the same for a text as JSON; one that is known needs no decoding."""
        ready = self._prepared.get(encoded)
        if ready is None:
            ready = self._prepared[encoded] = self.prepare(decoded(encoded))
            self._prepared_bytes += len(encoded)
        return ready

    def values(self, ready: Prepared, payload: bytes) -> dict[str, Any]:
        """Return the values in a JSON object, as a text needs them."""
        values = self._decoded(ready, payload)
        if ready.plain is None or (kept := without_escaped_marks(payload)) == payload:
            return values
        return _Marked(values, self._decoded(ready, kept))

    @staticmethod
    def _decoded(ready: Prepared, payload: bytes) -> dict[str, Any]:
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
        return _Render(self._limits, ready, values, is_trial=is_trial).parts()

    def part(
        self, ready: Prepared, part: Part, values: Mapping[str, Any], *, is_trial: bool = False
    ) -> str | None:
        """Return a single finished part, None if the text has none; otherwise as :meth:`render`."""
        render = _Render(self._limits, ready, values, is_trial=is_trial)
        match part:
            case "subject":
                return render.subject()
            case "body":
                return render.body()
            case "text":
                return render.own_text()
            case "preheader":
                return render.preheader()

    def inspect(
        self, source: str, path: str, *, html: bool, needs: Mapping[str, list[str]]
    ) -> tuple[list[str] | None, list[Problem]]:
        """Return the placeholders of a source, and its problems.

        ``needs`` holds the placeholders of the partials that it uses, by their ids. A source that
        does not compile has None for placeholders.
        """
        compiler = self._compilers.html if html else self._compilers.text
        try:
            inspection.refuse_autoescape(source, path)
            names = inspection.placeholders(compiler.environment, source, needs)
        except SourceError as error:
            return None, [error.problem]
        except TemplateError as error:
            context = ErrorContext(path, source, {}, {}, lambda _: ())
            problem = explained(error, context).problem
            return None, foreign_tags(source, path, problem) or [problem]
        problems = inspection.problems(compiler.environment, source, path, html=html)
        return names, list(islice(problems, MOST_PROBLEMS + 1))

    def uses(self, texts: Iterable[Text]) -> list[Use] | None:
        """Return the uses of variables in texts and their partials.

        None where the syntax of one cannot be read.
        """
        found: list[Use] = []
        for text in texts:
            every = [text.get(part) for part in PARTS]
            sources = [source for source in every if isinstance(source, str)]
            partials = {name: used["body"] for name, used in text["partials"].items()}
            uses = uses_of(sources, partials, self._own_names)
            if uses is None:
                return None
            found += uses
        return found

    def members(self, sources: Sequence[str]) -> tuple[list[str], list[str]] | None:
        """Return the members of items that sources use, such as ``items[].sku``.

        First all, then those that no item may lack; None where the syntax of one cannot be read.
        """
        uses = uses_of(sources, {}, self._own_names)
        if uses is None:
            return None
        every = item_names(uses)
        return sorted(every), sorted(every - optional_names(every, uses))

    def traces(self, source: str) -> Traces:
        """Return the uses of values in a source."""
        return traces(source, self._own_names)


class _Marked(dict[str, Any]):
    """Values with characters that are marks in the text part, and the same without them."""

    __slots__ = ("without_marks",)

    def __init__(self, values: Mapping[str, Any], without_marks: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.without_marks = without_marks


class _Render:
    """A render of a compiled text; for the parameters and errors see :meth:`Engine.render`."""

    def __init__(
        self, limits: Limits, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool
    ) -> None:
        self._limits = limits
        self._ready = ready
        self._values = values
        self._is_trial = is_trial

    def parts(self) -> dict[str, Any]:
        """Return all finished parts."""
        subject = self.subject()
        if self._ready.text["type"] == "json":
            body, parsed = self._document()
            return {
                "subject": subject,
                "body": body,
                "document": parsed,
                "content_sha256": sha256(subject, body),
            }
        body = self.body()
        parts: dict[str, Any] = {"subject": subject, "body": body}
        match self._ready.text["type"]:
            case "email":
                own = self.own_text()
                parts["text"] = self._alternative(body) if own is None else own
                preheader = self.preheader()
                if preheader is not None:
                    parts["preheader"] = preheader
                    parts["body"] = body = with_preheader(body, preheader)
            case "sms":
                counted = count(body)
                parts["encoding"] = counted.encoding
                parts["length"] = counted.length
                parts["segments"] = counted.segments
                parts["ucs2_characters"] = beyond_gsm(body)
            case "push":
                parts["title"] = subject
        parts["content_sha256"] = sha256(subject, body)
        return parts

    def subject(self) -> str | None:
        """Return the subject: one line of at most 998 characters."""
        if self._ready.subject is None:
            return None
        line = self._line(self._ready.subject, "subject")
        if len(line) > SUBJECT_CHARACTERS:
            raise SourceError.limit(
                "subject",
                f"the subject is {len(line)} characters, the limit is {SUBJECT_CHARACTERS}",
            )
        return line

    def body(self) -> str:
        """Return the body."""
        ready, values = self._ready, self._values
        if ready.text["type"] == "json":
            return self._document().text
        if not is_html(ready.text["type"]):
            return self._text_part(ready.body, "body")
        html: Sequence[str] = ()
        if ready.markdown:
            values, html = markdown.as_marks(values, ready.markdown)
        body = without_nul(self._run(ready.body, "body", values))
        if html:
            body = markdown.filled(body, html, ready.text["body"])
        self._require_size(body, "body")
        partials = (used["body"] for used in ready.text["partials"].values())
        source = ready.text["body"]
        if (where := dangerous_address(body, [source, *partials])) is not None:
            raise diagnosis.of_address(source, where)
        return body

    def own_text(self) -> str | None:
        """Return the text part that the author wrote, if there is one."""
        own = self._ready.own_text
        return None if own is None else self._text_part(own, "text")

    def preheader(self) -> str | None:
        """Return the preheader, which is one line, if there is one."""
        preheader = self._ready.preheader
        return None if preheader is None else self._line(preheader, "preheader")

    def _alternative(self, body: str) -> str:
        plain, values = self._ready.plain, self._values
        if plain is None:
            return text_of(body)
        if isinstance(values, _Marked):
            values = values.without_marks
        if self._ready.markdown:
            values = markdown.as_marked_text(values, self._ready.markdown)
        try:
            given = {**plain.of_render, **values} if plain.of_render else values
            rendered = plain.compiler.render(
                plain.name, plain.partials, given, is_trial=self._is_trial, is_checked=True
            )
        except (TemplateError, FilterFailedError, NullPrintedError):
            return text_of(body)
        return finished(with_whole_addresses(without_nul(rendered)))

    def _document(self) -> Document:
        body = self._ready.body
        values = markdown.as_text(self._values, self._ready.markdown)
        output = self._run(body, "body", values)
        result = document(output, self._ready.text["body"])
        self._require_size(result.text, "body")
        return result

    def _text_part(self, compiled: CompiledSource, path: Part) -> str:
        text = without_nul(self._run_text(compiled, path, self._values))
        self._require_size(text, path)
        return text

    def _line(self, compiled: CompiledSource, path: Part) -> str:
        line = one_line(self._run_text(compiled, path, self._values))
        if not _ISOLATES.isdisjoint(line):
            # Only an author's isolates stay: a value's isolates could end or begin others.
            own = without_controls(self._values)
            if own is not self._values:
                line = one_line(self._run_text(compiled, path, own))
        return line

    def _run_text(self, compiled: CompiledSource, path: Part, values: Mapping[str, Any]) -> str:
        if self._ready.markdown:
            values = markdown.as_text(values, self._ready.markdown)
        text = self._run(compiled, path, values)
        if not compiled.has_marks:
            return text
        text = finished(text, keeps_space=True)
        # A line across the page is not part of a text of one line.
        return text if path in {"body", "text"} else without_rules(text)

    def _require_size(self, text: str, path: Part) -> None:
        size = len(text.encode())
        if size > self._limits.output_bytes:
            raise SourceError.limit(
                path, f"the output is {size} bytes, the limit is {self._limits.output_bytes}"
            )

    def _run(self, compiled: CompiledSource, path: Part, values: Mapping[str, Any]) -> str:
        if "self" in values:
            # The engine's own name, and its Python method's: no template can use such a value.
            values = {name: value for name, value in values.items() if name != "self"}
        # A value that an earlier version declares by such a name is its own.
        values = {**compiled.of_render, **values} if compiled.of_render else values
        try:
            output = compiled.compiler.render(
                compiled.name, compiled.partials, values, is_trial=self._is_trial
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever Python says of a value may quote it
            # Values reach Python in filters, in the finalizer and in methods of objects.
            raise diagnosis.of(error, compiled, path, values, is_trial=self._is_trial) from None
        return with_whole_addresses(output)
