"""Findings as people, GitHub and code scanning read them."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from db.units import counted
from worker.authoring.findings import Finding

SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ESCAPES: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def as_text(findings: Iterable[Finding], prefix: str) -> str:
    """Return findings as compilers print them, each with its line and a caret below."""
    lines = []
    for finding in findings:
        lines.append(f"{_path(prefix, finding.file)}{str(finding)[len(finding.file) :]}")
        lines += [f"    {line}" for line in finding.snippet.split("\n") if finding.snippet]
    return "\n".join(lines)


def as_github(findings: Iterable[Finding], prefix: str) -> str:
    """Return findings as commands of a workflow, which GitHub shows at the lines of a change."""
    lines = []
    for finding in findings:
        line, column = _shown_place(finding)
        place = {"file": _path(prefix, finding.file), "line": str(line), "col": str(column)}
        place["title"] = finding.code
        properties = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in place.items())
        lines.append(f"::{finding.severity} {properties}::{finding.message.translate(_ESCAPES)}")
    return "\n".join(lines)


def as_sarif(findings: Sequence[Finding], prefix: str) -> str:
    """Return findings in SARIF 2.1.0, for code scanning."""
    rules = sorted({finding.code for finding in findings})
    run = {
        "tool": {
            "driver": {
                "name": "template-service",
                "version": version("template-service"),
                "rules": [{"id": rule} for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, prefix, rules) for finding in findings],
    }
    return json.dumps({"$schema": SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding, prefix: str, rules: Sequence[str]) -> Mapping[str, Any]:
    line, column = _shown_place(finding)
    location = {
        "artifactLocation": {"uri": quote(os.fsencode(_path(prefix, finding.file)))},
        "region": {"startLine": line, "startColumn": column},
    }
    return {
        "ruleId": finding.code,
        "ruleIndex": rules.index(finding.code),
        "level": str(finding.severity),
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": location}],
    }


def _shown_place(finding: Finding) -> tuple[int, int]:
    """Return line and column; code scanning needs them for a whole file, too: its beginning."""
    return finding.line or 1, finding.column or 1


def _path(prefix: str, file: str) -> str:
    return str(PurePosixPath(prefix) / file)


def summary(findings: Sequence[Finding], count: int) -> str:
    """Return the last line of a check."""
    wrong = sum(finding.is_error for finding in findings)
    warned = len(findings) - wrong
    return (
        f"{counted(count, 'template')} checked: {counted(wrong, 'error')}, "
        f"{counted(warned, 'warning')}"
    )
