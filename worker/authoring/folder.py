"""The folder of templates, as it was read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from db.errors import Kind, OperationError
from tasks.errors import Problem
from worker.authoring import layout
from worker.authoring.definition import Definition
from worker.authoring.findings import Finding, of_problem
from worker.authoring.positions import Positions, of_toml
from worker.authoring.samples import Sample


@dataclass(frozen=True, slots=True)
class FolderTemplate:
    """A template in a folder.

    Attributes
    ----------
    path
        Its folder, relative to the folder of all templates.
    definition
        None if its files are not a template.
    files
        The file of each source, by the path that leads to it in ``version.publish``.
    positions
        Where the values of ``template.toml`` are.
    """

    path: str
    template_id: str
    definition: Definition | None
    samples: Sequence[Sample] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    positions: Positions = field(default_factory=lambda: Positions("", of_toml))
    findings: Sequence[Finding] = ()

    @property
    def header_file(self) -> str:
        """The path of ``template.toml``."""
        return joined(self.path, layout.HEADER)

    def finding(self, problem: Problem) -> Finding:
        """Return a problem of ``version.publish`` of this template as a finding in its file."""
        path = problem["path"]
        owners = [each for each in self.files if path == each or path.startswith(f"{each}.")]
        if owners:
            # What concerns all of a text is at its beginning.
            placed: Problem = {"line": 1, "column": 1, **problem}
            return of_problem(self.files[max(owners)], placed)
        if path.startswith("translations."):
            language = path.split(".")[1]
            place = joined(self.path, f"{layout.TRANSLATIONS}/{language}")
            return of_problem(place, problem)
        if re.match(r"metadata\b", path):
            path = f"version_{path}"
        if path == "version_metadata.language" and self.positions.find("language").is_exact:
            path = "language"
        return self._in_header(path, problem)

    def field_finding(self, problem: Problem) -> Finding:
        """Return a problem of ``template.create`` of this template as a finding in its file."""
        return self._in_header(problem["path"], problem)

    def _in_header(self, path: str, problem: Problem) -> Finding:
        found = self.positions.find(path)
        # The position of a missing value is the object or array that lacks it.
        name = "" if found.is_exact and "metadata." not in path else f"{path}: "
        finding = of_problem(self.header_file, problem)
        message = f"{name}{finding.message}"
        return replace(finding, line=found.line, column=found.column, message=message)


@dataclass(frozen=True, slots=True)
class Folder:
    """Templates of a folder, by path, and findings about the folder as a whole."""

    root: Path
    templates: Sequence[FolderTemplate]
    findings: Sequence[Finding]

    def definitions(self) -> list[Definition]:
        """Return the templates' definitions."""
        return [each.definition for each in self.templates if each.definition is not None]

    def every_finding(self) -> list[Finding]:
        """Return all findings, by file."""
        own = [finding for template in self.templates for finding in template.findings]
        return sorted([*self.findings, *own])

    def require(self, ids: Iterable[str]) -> None:
        """Make sure that there are templates of some ids.

        Raises
        ------
        OperationError
            A template does not exist.
        """
        unknown = sorted({*ids} - self.by_id().keys())
        if unknown:
            names = ", ".join(f"'{each}'" for each in unknown)
            remedy = "pass ids of templates, not paths; or none, for all templates"
            raise OperationError(Kind.UNKNOWN, f"{self.root} has no template {names}", remedy)

    def by_id(self) -> dict[str, FolderTemplate]:
        """Return the templates by id."""
        return {template.template_id: template for template in self.templates}


def joined(folder: str, name: str) -> str:
    """Return the path of a file in a folder, as findings show it."""
    return name if folder == "." else f"{folder}/{name}"
