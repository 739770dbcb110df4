"""The check of a folder: the publish gate offline, translations, samples."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from itertools import takewhile
from typing import Any, Final

from tasks.errors import Problem, ServiceError
from tasks.rendering.client import Renderer
from tasks.rendering.texts import Part
from worker.authoring import layout
from worker.authoring.definition import Definition
from worker.authoring.dependencies import Dependencies
from worker.authoring.files import write
from worker.authoring.findings import (
    Finding,
    Severity,
    error,
    errors,
    of_problem,
    of_template,
    warning,
)
from worker.authoring.folder import Folder, FolderTemplate
from worker.authoring.gate import FolderGate, Passed
from worker.authoring.library import Partials
from worker.authoring.rendering import render
from worker.authoring.samples import Sample, expected_files

THREADS: Final = min(4, os.cpu_count() or 1)
"""Templates that are checked at once, each with a render process of its own."""


@dataclass(slots=True)
class Checked:
    """Result of a check.

    Attributes
    ----------
    passed
        The templates that have passed the gate, by id.
    updated
        The files with expected output that were written.
    """

    findings: list[Finding] = field(default_factory=list)
    passed: dict[str, Passed] = field(default_factory=dict)
    updated: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings for which a template cannot be published."""
        return errors(self.findings)


class Checker:
    """Checks the templates of a folder.

    Parameters
    ----------
    folder
        The folder, as it was read.
    renderer
        Compiles and renders samples; the gate has the same limits.
    default_language
        As in :class:`~worker.authoring.gate.FolderGate`.
    dependencies
        Dependencies of the folder, if known already.
    """

    def __init__(
        self,
        folder: Folder,
        renderer: Renderer,
        default_language: str,
        dependencies: Dependencies | None = None,
    ) -> None:
        self._folder = folder
        self._renderer = renderer
        self._templates = folder.by_id()
        self._definitions = {each.template_id: each for each in folder.definitions()}
        self._graph = dependencies or Dependencies(self._definitions.values())
        partials = Partials(self._definitions, self._graph)
        self._gate = FolderGate(renderer, partials, default_language)
        self._default_language = default_language

    def check(
        self,
        only: Collection[str] | None = None,
        *,
        languages: Collection[str] = (),
        update: bool = False,
    ) -> Checked:
        """Return the errors and warnings of the templates.

        Parameters
        ----------
        only
            Check these and the partials that they use; None checks all.
        languages
            The languages that each template must have.
        update
            Write what is rendered of samples as what is expected of them.
        """
        checked = Checked(self._folder.every_finding())
        broken = {each.template_id for each in checked.errors if each.template_id}
        broken |= {each.template_id for each in self._folder.templates if each.definition is None}
        for name, definition in self._definitions.items():
            problems = self._graph.cycles(definition)
            checked.findings += of_template(name, map(self._templates[name].finding, problems))
            broken |= {name} if problems else set()
        wanted = None if only is None else self._graph.reached(only)
        if wanted is not None:
            about = {"", *wanted}
            checked.findings = [each for each in checked.findings if each.template_id in about]
        with ThreadPoolExecutor(THREADS) as pool:
            for group in self._graph.order():
                names = [name for name in group if wanted is None or name in wanted]
                ready = [name for name in names if not self._is_blocked(name, broken, checked)]
                for name, result in zip(ready, pool.map(self._try_gate, ready), strict=True):
                    checked.findings += result[1]
                    if result[0] is None:
                        broken.add(name)
                    else:
                        checked.passed[name] = result[0]
            samples = [
                (passed, sample)
                for name, passed in checked.passed.items()
                for sample in self._templates[name].samples
            ]
            for findings, files in pool.map(
                lambda each: self._sample(*each, update=update), samples
            ):
                checked.findings += findings
                checked.updated += files
        checked.findings += self._missing_languages(wanted, languages)
        checked.findings.sort()
        return checked

    def _is_blocked(self, name: str, broken: set[str], checked: Checked) -> bool:
        """Return whether a template is not checked because of a partial that has errors."""
        if name in broken:
            return True
        used = sorted(self._graph.reached(self._graph.uses[name]) & broken)
        if not used:
            return False
        template = self._templates[name]
        message = f"not checked, because it uses {', '.join(used)}, which has errors"
        finding = warning(template.header_file, "not_checked", message, 1, 1)
        checked.findings += of_template(name, [finding])
        return True

    def _try_gate(self, name: str) -> tuple[Passed | None, list[Finding]]:
        template = self._templates[name]
        result = self._gate.check(self._definitions[name])
        if isinstance(result, Passed):
            found = [_of_warning(template, each) for each in result.warnings]
            return result, of_template(name, found)
        return None, of_template(name, map(template.finding, result))

    def _sample(
        self, passed: Passed, sample: Sample, *, update: bool
    ) -> tuple[list[Finding], list[str]]:
        template = self._templates[passed.definition.template_id]
        try:
            parts = render(self._renderer, passed, sample.variables, sample.language)
        except ServiceError as refusal:
            found = [_of_refused(template, sample, each) for each in refusal.details]
            return of_template(template.template_id, found), []
        endings = expected_files(passed.definition.type)
        if update:
            return [], self._write_expected(sample, parts, endings)
        found = [
            _difference(
                f"{sample.file.removesuffix('.json')}{endings[part]}", text, parts.get(part)
            )
            for part, text in sample.expected.items()
            if text != (parts.get(part) or "")
        ]
        return of_template(template.template_id, found), []

    def _write_expected(
        self,
        sample: Sample,
        parts: Mapping[str, Any],
        endings: Mapping[Part, str],
    ) -> list[str]:
        written = []
        for part, ending in endings.items():
            text = parts.get(part)
            if text is None or text == sample.expected.get(part):
                continue
            file = f"{sample.file.removesuffix(layout.SAMPLE_SUFFIX)}{ending}"
            data = layout.with_last_line_break(file, text).encode()
            write(self._folder.root, self._folder.root / file, data)
            written.append(file)
        return written

    def _missing_languages(
        self, wanted: Collection[str] | None, required: Collection[str]
    ) -> Iterable[Finding]:
        """Yield a finding for each template that lacks languages which it should have."""
        definitions = self._definitions
        every = {language for each in definitions.values() for language in each.translations}
        for name, definition in definitions.items():
            if wanted is not None and name not in wanted:
                continue
            if definition.type == "partial" and not definition.translations:
                continue  # it fits all languages, as layouts do
            own = definition.version_metadata.get("language", self._default_language)
            known = {own, *definition.translations}
            yield from self._missing(definition, sorted(set(required) - known), error)
            if not required:
                yield from self._missing(definition, sorted(every - known), warning)

    def _missing(
        self,
        definition: Definition,
        languages: Sequence[str],
        make: Any,  # noqa: ANN401
    ) -> Iterable[Finding]:
        if languages:
            template = self._templates[definition.template_id]
            names = ", ".join(languages)
            message = f"the translation into {names} is missing: add translations/{languages[0]}"
            finding = make(template.header_file, "missing_translation", message, 1, 1)
            yield from of_template(definition.template_id, [finding])


def _of_warning(template: FolderTemplate, warned: Mapping[str, Any]) -> Finding:
    problem: Problem = {
        "path": warned["path"],
        "type": warned["code"],
        "message": f"{warned['message']}: {warned['remedy']}",
    }
    if "line" in warned:
        problem |= {"line": warned["line"], "column": warned["column"]}
    return replace(template.finding(problem), severity=Severity.WARNING)


def _of_refused(template: FolderTemplate, sample: Sample, problem: Problem) -> Finding:
    """Return a render's problem as a finding: in the sample, or in the source of its language."""
    path = problem["path"]
    translated = f"translations.{sample.language}.{path}"
    file = template.files.get(translated) or template.files.get(path)
    if file is not None:
        return of_problem(file, problem)
    return sample.finding(path, problem["type"], f"{path}: {problem['message']}")


def _difference(file: str, expected: str, actual: object) -> Finding:
    """Return the finding for an expected output that differs from the rendered one."""
    before, after = (
        text.split("\n") for text in (expected, actual if isinstance(actual, str) else "")
    )
    diff = list(unified_diff(before, after, "expected", "rendered", lineterm="", n=1))
    equal = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))
    )
    message = "the render differs from what is expected; check --update accepts it"
    return Finding(
        file,
        min(equal + 1, len(before)),
        1,
        Severity.ERROR,
        "unexpected_output",
        message,
        snippet="\n".join(line[:_SHOWN_CHARACTERS] for line in diff[2:_SHOWN_LINES]),
    )


_SHOWN_CHARACTERS: Final = 200
_SHOWN_LINES: Final = 20
