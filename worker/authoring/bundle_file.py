"""All templates in one file: what ``export`` writes and ``import`` reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tasks.errors import Problem, ServiceError
from tasks.messages.base import parse
from tasks.messages.bundles import BundledTemplate
from tasks.rendering.limits import MIB, Limits
from tasks.rendering.texts import PARTS
from worker.authoring.definition import Definition, normal, of_entry
from worker.authoring.files import Files, parse_json, write
from worker.authoring.findings import error, of_template
from worker.authoring.folder import Folder, FolderTemplate

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
    entries = content.get("templates") if isinstance(content, dict) else None
    if not isinstance(entries, list) or content.get("format") != FORMAT:
        message = f"not an export: expected an object with the format {FORMAT} and templates"
        return Folder(file.parent, [], [error(file.name, "export", message)])
    templates = [_template(file.name, index, entry, limits) for index, entry in enumerate(entries)]
    names = [template.template_id for template in templates]
    twice = sorted({name for name in names if names.count(name) > 1})
    findings = [
        error(file.name, "same_template_id", f"template_id '{name}' appears more than once")
        for name in twice
    ]
    return Folder(file.parent, templates, [*files.findings, *findings])


def _template(file: str, index: int, entry: Any, limits: Limits) -> FolderTemplate:  # noqa: ANN401 - a JSON value
    place = f"templates[{index}]"
    name = entry.get("template_id") if isinstance(entry, dict) else None
    template_id = name if isinstance(name, str) else place
    definition, problems = _definition(entry, limits)
    paths = (
        []
        if definition is None
        else [f"{p}{part}" for p, _ in definition.texts() for part in PARTS]
    )
    found = [
        error(file, each["type"], f"{template_id}: {each['path']}: {each['message']}")
        for each in problems
    ]
    return FolderTemplate(
        path=file,
        template_id=template_id,
        definition=definition,
        files=dict.fromkeys(paths, file),
        findings=of_template(template_id, found),
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
