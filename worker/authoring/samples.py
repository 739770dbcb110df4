"""Samples: values for previews and checks of a template, and the expected output."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.rendering.texts import Part
from worker.authoring.files import parse_json
from worker.authoring.findings import Finding, error
from worker.authoring.layout import BODIES, PART_FILES
from worker.authoring.positions import Positions, of_json

_KEYS: Final = {"language", "variables"}


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one render.

    Attributes
    ----------
    name
        The name of its file, without the ending.
    file
        The path of its file, as findings show it.
    language
        The language asked for; None has the version's own.
    positions
        Where the values of the file are.
    expected
        What each part must be, from the files next to the sample.
    """

    name: str
    file: str
    variables: Mapping[str, Any]
    language: str | None
    positions: Positions
    expected: Mapping[Part, str] = field(default_factory=dict)

    def finding(self, path: str, code: str, message: str) -> Finding:
        """Return an error at a path in the file."""
        place = self.positions.find(path)
        return error(self.file, code, message, place.line, place.column)


def parse(text: str, name: str, file: str) -> tuple[Sample | None, list[Finding]]:
    """Return the sample in a file, or None, and the findings about it."""
    try:
        content = parse_json(text)
    except json.JSONDecodeError as problem:
        message = f"not valid JSON: {problem.msg}"
        return None, [error(file, "json", message, problem.lineno, problem.colno)]
    except (ValueError, RecursionError) as problem:
        reason = "a number is too long" if isinstance(problem, ValueError) else "nested too deeply"
        return None, [error(file, "json", f"not valid JSON: {reason}", 1, 1)]
    if not isinstance(content, dict):
        message = 'expected an object such as {"language": "de", "variables": {"name": "Ada"}}'
        return None, [error(file, "sample", message, 1, 1)]
    variables, language = content.get("variables", {}), content.get("language")
    sample = Sample(name, file, variables, language, Positions(text, of_json))
    findings = [
        sample.finding(key, "unknown_key", f"unknown key '{key}'; available: language, variables")
        for key in sorted(content.keys() - _KEYS)
    ]
    if not isinstance(variables, dict):
        message = "variables: expected an object of values by name"
        findings.append(sample.finding("variables", "sample", message))
    if not isinstance(language, str | None):
        message = "language: expected a tag such as 'de'"
        findings.append(sample.finding("language", "sample", message))
    return (None if findings else sample), findings


def expected_files(template_type: str) -> dict[Part, str]:
    """Return the ending of the files of expected output, by part, for a type of template."""
    names: dict[Part, str] = {"body": BODIES[template_type]}
    if template_type != "partial":
        names["subject"] = PART_FILES["subject"]
    if template_type == "email":
        names["text"] = PART_FILES["text"]
    return {part: f".{name}" for part, name in names.items()}
