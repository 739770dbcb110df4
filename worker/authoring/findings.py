"""Findings: errors and warnings about the files of a folder of templates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from db.errors import OperationError
from tasks.errors import Problem


class Severity(StrEnum):
    """Severity of a finding. Only an error keeps a template from being published."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding in a file.

    Attributes
    ----------
    file
        The path from the folder of the templates, with slashes.
    line, column
        Both from 1; 0 where the finding concerns the whole file.
    code
        A short machine-readable name, such as ``undeclared``.
    snippet
        The line of the source with a caret under the place, empty without one.
    template_id
        The template that the file belongs to, empty where it is unknown.
    """

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    message: str
    snippet: str = ""
    template_id: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the finding prevents the template's publish."""
        return self.severity is Severity.ERROR

    def __str__(self) -> str:
        """Return the finding as compilers print one: ``file:line:column: severity: message``."""
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.severity}: {self.message} [{self.code}]"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object; line and column only if known."""
        shown: dict[str, Any] = {
            "file": self.file,
            "template_id": self.template_id or None,
            "severity": str(self.severity),
            "code": self.code,
            "message": self.message,
        }
        if self.line:
            shown |= {"line": self.line, "column": self.column}
        if self.snippet:
            shown["snippet"] = self.snippet
        return shown


def error(file: str, code: str, message: str, line: int = 0, column: int = 0) -> Finding:
    """Return an error in a file."""
    return Finding(file, line, column, Severity.ERROR, code, message)


def warning(file: str, code: str, message: str, line: int = 0, column: int = 0) -> Finding:
    """Return a warning about a file."""
    return Finding(file, line, column, Severity.WARNING, code, message)


def of_problem(file: str, problem: Problem) -> Finding:
    """Return a problem of the publish gate as a finding in the file that its path leads to."""
    return Finding(
        file,
        problem.get("line", 0),
        problem.get("column", 0),
        Severity.ERROR,
        problem["type"],
        problem["message"],
        problem.get("snippet", ""),
    )


def of_template(template_id: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with the template that they are about."""
    return [replace(each, template_id=template_id) for each in findings]


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return the errors among findings."""
    return [each for each in findings if each.is_error]


class FolderError(OperationError):
    """Files that cannot be published; nothing was sent, and nothing was written."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = sorted(findings)
        shown = "\n".join(str(each) for each in self.findings)
        super().__init__("invalid_folder", shown, "nothing was changed; fix the files and retry")
