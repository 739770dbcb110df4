"""All templates in one file: what ``export`` writes and ``import`` reads."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tasks.errors import Problem, ServiceError
from tasks.messages.base import parse
from tasks.messages.bundles import BundledTemplate
from tasks.rendering.limits import MIB, Limits
from tasks.rendering.texts import PARTS
from worker.authoring.definition import Definition, normal, of_entry
from worker.authoring.files import Files, parse_json, write
from worker.authoring.findings import Finding, error, of_template
from worker.authoring.folder import Folder, FolderTemplate
from worker.authoring.positions import Positions, of_json

FORMAT: Final = "template-service/templates/1"
_LARGEST: Final = 512 * MIB
_VERSION_KEYS: Final = {
    *PARTS,
    "format",
    "inline_css",
    "variables",
    "metadata",
    "translations",
}


def write_file(file: Path, definitions: Iterable[Definition]) -> None:
    """Write definitions into a file, in the order of their ids and with one key a line.

    Two exports of the same templates are the same bytes, so that a file can be compared.
    """
    entries = [each.entry() for each in sorted(definitions, key=lambda each: each.template_id)]
    content = {"format": FORMAT, "templates": entries}
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True)
    write(file.parent, file, f"{text}\n".encode())


def read_file(file: Path, limits: Limits) -> Folder:
    """Return the templates of a file as a folder whose findings name that file."""
    files = Files(file.parent)
    text = files.read(file, _LARGEST)
    if text is None:
        return Folder(file.parent, [], files.findings)
    try:
        content = parse_json(text)
    except json.JSONDecodeError as problem:
        message = f"not valid JSON: {problem.msg}"
        finding = error(file.name, "json", message, problem.lineno, problem.colno)
        return Folder(file.parent, [], [finding])
    except (ValueError, RecursionError):  # a number too long, or nested too deeply
        content = None
    places = Positions(text, of_json)
    entries = content.get("templates") if isinstance(content, dict) else None
    if not isinstance(entries, list) or content.get("format") != FORMAT:
        message = f"not an export: expected an object with the format {FORMAT} and templates"
        return Folder(file.parent, [], [error(file.name, "export", message)])
    templates = [
        _template(_Entry(file.name, f"templates[{index}]", places), entry, limits)
        for index, entry in enumerate(entries)
    ]
    counted = Counter(template.template_id for template in templates)
    findings = [
        template.entry.finding("template_id", "same_template_id", "appears more than once")
        for template in templates
        if counted[template.template_id] > 1
    ]
    return Folder(file.parent, templates, [*files.findings, *findings])


@dataclass(frozen=True, slots=True)
class _Entry:
    """The place of a template in a file of templates."""

    file: str
    path: str
    places: Positions

    def finding(self, path: str, code: str, message: str) -> Finding:
        """Return an error at a path in the entry."""
        place = self.places.find(f"{self.path}.{path}" if path else self.path)
        shown = f"{path}: {message}" if path else message
        return error(self.file, code, shown, place.line, place.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EntryTemplate(FolderTemplate):
    """A template in a file of templates."""

    entry: _Entry

    @property
    def header_file(self) -> str:
        """The file."""
        return self.path

    def finding(self, problem: Problem) -> Finding:
        """Return a problem of ``version.publish`` as a finding in the file."""
        return self.field_finding({**problem, "path": f"version.{problem['path']}"})

    def field_finding(self, problem: Problem) -> Finding:
        """Return a problem of the entry as a finding in the file."""
        message = f"{self.template_id}: {problem['message']}"
        if "line" in problem:
            message += f" (line {problem['line']}, column {problem['column']} of the text)"
        found = self.entry.finding(problem["path"], problem["type"], message)
        return replace(found, snippet=problem.get("snippet", ""))


def _template(entry: _Entry, content: Any, limits: Limits) -> _EntryTemplate:  # noqa: ANN401 - a JSON value
    name = content.get("template_id") if isinstance(content, dict) else None
    template_id = name if isinstance(name, str) else entry.path
    definition, problems = _definition(content, limits)
    template = _EntryTemplate(
        path=entry.file, template_id=template_id, definition=definition, entry=entry
    )
    return replace(
        template, findings=of_template(template_id, map(template.field_finding, problems))
    )


def _definition(entry: Any, limits: Limits) -> tuple[Definition | None, list[Problem]]:  # noqa: ANN401 - a JSON value
    if not isinstance(entry, dict) or not isinstance(entry.get("version"), dict):
        message = "expected an object with template_id, name, type and version"
        return None, [{"path": "", "type": "entry", "message": message}]
    unknown = sorted(entry["version"].keys() - _VERSION_KEYS)
    if unknown:
        message = f"unknown keyword {', '.join(unknown)}"
        return None, [{"path": "version", "type": "extra_forbidden", "message": message}]
    try:
        parsed = parse(BundledTemplate, entry, limits)
    except ServiceError as refusal:
        return None, refusal.details
    version = parsed.version
    assert version is not None  # noqa: S101 - for the type checker: it is an object
    variables = None if version.variables is None else [each.stored() for each in version.variables]
    content: dict[str, Any] = {
        **{part: getattr(version, part) for part in PARTS},
        "format": version.format,
        "inline_css": version.inline_css,
        "variables": None if variables is None else normal(variables),
        "metadata": version.metadata,
        "translations": {
            language: {part: getattr(text, part) for part in PARTS}
            for language, text in version.translations.items()
        },
    }
    return of_entry({**parsed.model_dump(), "version": content}), []
