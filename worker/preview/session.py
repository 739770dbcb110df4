"""State of the preview of a folder: its templates, their renders and findings."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tasks.errors import ServiceError
from tasks.rendering.client import Renderer
from tasks.rendering.sms import EXTENSION
from worker.authoring import layout
from worker.authoring.check import Checked, Checker
from worker.authoring.dependencies import Dependencies
from worker.authoring.files import is_ignored
from worker.authoring.folder import Folder, FolderTemplate
from worker.authoring.gate import Passed
from worker.authoring.reading import read_folder, read_template
from worker.authoring.rendering import example_values, render, render_examples

Signature = Mapping[str, tuple[int, int]]
"""The time of the last change and the size of each file of a folder."""

_SHOWN_SOURCE: Final = 256 * 1024
"""Characters of a source that the page shows."""


@dataclass(slots=True)
class _Known:
    """A check of a template, and the state of the files that it is of."""

    signatures: Mapping[str, Signature]
    checked: Checked


class Session:
    """Reads a folder again when its files change, and renders on request.

    Parameters
    ----------
    root
        The folder of the templates.
    renderer
        Compiles and renders templates; the gate has the same limits.
    default_language
        The language of a version's own text where its metadata does not say.
    """

    def __init__(self, root: Path, renderer: Renderer, default_language: str) -> None:
        self._renderer = renderer
        self._default_language = default_language
        self._known: dict[str, _Known] = {}
        self._folder = Folder(root, [], [])
        self._dependencies = Dependencies(())
        self._signatures: dict[str, Signature] = {}
        self.root = root
        self.read()

    def read(self) -> None:
        """Read the whole folder, as when templates were added or removed."""
        self._set(read_folder(self.root, self._renderer.limits))
        self._signatures = {
            each.path: signature(self.root / each.path) for each in self._folder.templates
        }

    def catch_up(self, now: Mapping[str, Signature]) -> set[str] | None:
        """Read what differs from a snapshot; return the templates that change, None for the list.

        Parameters
        ----------
        now
            The folder as :func:`snapshot` has found it a moment ago.
        """
        if now.keys() != {each.path for each in self._folder.templates}:
            self.read()
            return None
        return self._read_changed(now)

    def changed(self, ids: set[str]) -> set[str]:
        """Read templates and their partials again where their files have changed.

        Returns the templates that change, with those that use them.
        """
        by_id = self._folder.by_id()
        watched = [by_id[name].path for name in self._dependencies.reached(ids) if name in by_id]
        return self._read_changed({path: signature(self.root / path) for path in watched})

    def templates(self) -> list[dict[str, Any]]:
        """Return the templates of the list, by id."""
        return [
            {
                "template_id": each.template_id,
                "name": each.template_id if each.definition is None else each.definition.name,
                "type": None if each.definition is None else each.definition.type,
                "has_errors": any(finding.is_error for finding in each.findings),
            }
            for each in sorted(self._folder.templates, key=lambda each: each.template_id)
        ]

    def problems(self) -> list[dict[str, Any]]:
        """Return the findings about the folder as a whole."""
        return [finding.as_json() for finding in self._folder.findings]

    def view(
        self,
        template_id: str,
        *,
        language: str | None = None,
        sample: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Return what the page shows of a template; None if no template has that id.

        Parameters
        ----------
        template_id
            The template.
        language
            Its language; None takes the sample's language, else the version's own.
        sample
            The name of a sample; None takes the first, or the examples of the variables.
        values
            Values that replace the sample's.
        """
        template = self._folder.by_id().get(template_id)
        if template is None:
            return None
        checked = self._check(template_id)
        passed = checked.passed.get(template_id)
        shown = self._described(template, checked)
        chosen = next((each for each in template.samples if each.name == sample), None)
        if chosen is None and sample is None and template.samples:
            chosen = template.samples[0]
        if values is None and chosen is not None:
            values = chosen.variables
        if language is None and chosen is not None:
            language = chosen.language
        shown["sample"] = None if chosen is None else chosen.name
        if passed is None:
            return shown | {"values": values or {}, "variables": [], "rendered": None}
        return shown | self._rendered(passed, values, language)

    def _rendered(
        self, passed: Passed, values: Mapping[str, Any] | None, language: str | None
    ) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "values": example_values(passed) if values is None else values,
            "variables": passed.variables,
        }
        try:
            if values is None:
                parts = render_examples(self._renderer, passed, language)
            else:
                parts = render(self._renderer, passed, values, language)
        except ServiceError as refusal:
            return shown | {"rendered": None, "refused": refusal.details}
        if passed.definition.type == "sms":
            twice = sorted({each for each in parts["body"] if each in EXTENSION})
            parts["costly"] = parts.get("ucs2_characters") or twice
        return shown | {"rendered": parts}

    def _check(self, template_id: str) -> Checked:
        """Return the check of a template and of its partials, from the current files."""
        names = self._dependencies.reached([template_id])
        by_id = self._folder.by_id()
        paths = {by_id[name].path for name in names if name in by_id}
        signatures = {path: self._signatures.get(path, {}) for path in paths}
        known = self._known.get(template_id)
        if known is None or known.signatures != signatures:
            checker = Checker(
                self._folder, self._renderer, self._default_language, self._dependencies
            )
            known = self._known[template_id] = _Known(signatures, checker.check([template_id]))
        return known.checked

    def _described(self, template: FolderTemplate, checked: Checked) -> dict[str, Any]:
        definition = template.definition
        languages = []
        if definition is not None:
            own = definition.version_metadata.get("language", self._default_language)
            languages = [own, *sorted(definition.translations)]
        files = sorted({*template.files.values(), template.header_file})
        files += [each.file for each in template.samples]
        about = [each for each in checked.findings if each.template_id or each.is_error]
        return {
            "template_id": template.template_id,
            "name": template.template_id if definition is None else definition.name,
            "type": None if definition is None else definition.type,
            "languages": languages,
            "samples": [each.name for each in template.samples],
            "findings": [each.as_json() for each in about],
            "sources": [
                {"file": file, "text": self._source(file)}
                for file in dict.fromkeys([*files, *(each.file for each in about)])
            ],
        }

    def _source(self, file: str) -> str | None:
        path = self.root / file
        if not path.resolve().is_relative_to(self.root.resolve()):
            return None
        try:
            with path.open(encoding="utf-8", errors="replace", newline="") as opened:
                return opened.read(_SHOWN_SOURCE)
        except OSError:
            return None

    def _read_changed(self, now: Mapping[str, Signature]) -> set[str]:
        different = {path for path, each in now.items() if each != self._signatures.get(path)}
        if not different:
            return set()
        templates = [
            self._read_again(each) if each.path in different else each
            for each in self._folder.templates
        ]
        self._signatures |= {path: now[path] for path in different}
        self._set(replace(self._folder, templates=templates))
        found = {each.template_id for each in templates if each.path in different}
        return self._dependencies.users(found)

    def _set(self, folder: Folder) -> None:
        self._folder = folder
        self._dependencies = Dependencies(folder.definitions())

    def _read_again(self, template: FolderTemplate) -> FolderTemplate:
        return read_template(self.root, self.root / template.path, self._renderer.limits)


def snapshot(root: Path) -> dict[str, Signature]:
    """Return the state of the files of each template below a folder, by path."""
    found = {}
    for path, folders, files in os.walk(root):
        if layout.HEADER in files:
            found[os.path.relpath(path, root)] = signature(Path(path))
            folders.clear()  # Templates do not lie in others.
        folders[:] = [each for each in folders if not is_ignored(each)]
    return found


def signature(folder: Path) -> Signature:
    """Return when the files of a template were changed, and their sizes."""
    found: dict[str, tuple[int, int]] = {}
    left = [str(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                        continue
                    with suppress(OSError):  # a broken link
                        status = entry.stat()
                        found[entry.path] = (status.st_mtime_ns, status.st_size)
        except OSError:
            continue  # It was deleted a moment ago, or cannot be read: the reader reports it.
    return found
