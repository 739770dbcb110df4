"""Reading a folder of templates, with all that is wrong with its files."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from tasks.errors import Problem, ServiceError
from tasks.messages.base import M
from tasks.messages.base import parse as parse_message
from tasks.messages.fields import canonical_language
from tasks.messages.templates import CreateTemplate
from tasks.messages.versions import PublishVersion
from tasks.rendering.limits import Limits
from tasks.rendering.texts import PARTS, Part, Sources
from worker.authoring import header as headers
from worker.authoring import layout
from worker.authoring import samples as sample_files
from worker.authoring.definition import MJML, Definition, normal
from worker.authoring.files import Files
from worker.authoring.findings import Finding, error, errors, of_template
from worker.authoring.folder import Folder, FolderTemplate, joined
from worker.authoring.header import Header
from worker.authoring.positions import Positions, of_toml
from worker.authoring.samples import Sample

_HEADER_BYTES: Final = 1024 * 1024


def read_folder(root: Path, limits: Limits) -> Folder:
    """Return all templates below a folder, each of them a folder with ``template.toml``."""
    files = Files(root)
    if not root.is_dir():
        finding = error(".", "missing", f"folder {root} does not exist: name the templates' folder")
        return Folder(root, [], [finding])
    templates = [read_template(root, path, limits) for path in _template_folders(files, root)]
    if not templates and not files.findings:
        message = f"no {layout.HEADER} below {root}: template-service templates new makes one"
        files.findings.append(error(".", "no_templates", message))
    return Folder(root, templates, [*files.findings, *_twice(templates)])


def read_template(root: Path, path: Path, limits: Limits) -> FolderTemplate:
    """Return the template in the folder ``path`` below ``root``."""
    return _Reader(root, path, limits).read()


def _template_folders(files: Files, root: Path) -> list[Path]:
    """Return the folders of templates below a folder, by path."""
    found: list[Path] = []
    left = [root]
    while left:
        folder = left.pop()
        if (folder / layout.HEADER).is_symlink() or (folder / layout.HEADER).exists():
            found.append(folder)
            continue
        for entry in files.entries(folder):
            path = folder / entry.name
            if entry.is_symlink():
                _refuse_folder_link(files, path)
            elif entry.is_dir():
                left.append(path)
    return sorted(found)


def _refuse_folder_link(files: Files, path: Path) -> None:
    if not files.is_inside(path):
        message = "a symbolic link leads out of the folder: put a copy in its place"
        files.findings.append(error(files.name(path), "link_outside", message))
    elif path.is_dir():
        message = "a symbolic link to a folder: templates are not searched in linked folders"
        files.findings.append(error(files.name(path), "link_to_folder", message))
    elif not path.exists():
        message = "a symbolic link to a file or folder that does not exist: delete or correct it"
        files.findings.append(error(files.name(path), "unreadable", message))


def _twice(templates: Sequence[FolderTemplate]) -> list[Finding]:
    """Return an error for each template whose id another one has, too."""
    owners: dict[str, list[FolderTemplate]] = defaultdict(list)
    for template in templates:
        owners[template.template_id].append(template)
    findings = []
    for template_id, same in owners.items():
        for template in same if len(same) > 1 else ():
            others = ", ".join(each.path for each in same if each is not template)
            message = f"template_id '{template_id}' is also used by {others}: rename one"
            findings.append(error(template.header_file, "same_template_id", message, 1, 1))
    return findings


class _Texts(NamedTuple):
    """The sources of a template, and the format of their bodies."""

    own: Mapping[Part, str]
    translations: Mapping[str, Mapping[Part, str]]
    format: str | None


class _Reader:
    """Reads the files of one template."""

    def __init__(self, root: Path, path: Path, limits: Limits) -> None:
        self._files = Files(root)
        self._path = path
        self._name = self._files.name(path)
        self._limits = limits
        self._sources: dict[str, str] = {}
        self._header = Header()

    def read(self) -> FolderTemplate:
        text = self._files.read(self._path / layout.HEADER, _HEADER_BYTES)
        header, findings = (
            (None, []) if text is None else headers.parse(text, self._file(layout.HEADER))
        )
        template_id = self._path.name
        self._files.findings += findings
        if header is None:
            return self._template(template_id, None, (), text)
        self._header = header
        if isinstance(header.template_id, str):
            template_id = header.template_id
        kind = header.fields.get("type")
        if kind not in layout.BODIES:
            kind = "email"  # which of the files there may be is not known; the type is refused
        own = self._texts(self._path, kind, "")
        translations = self._translations(kind)
        samples = self._samples(kind)
        self._unknown_files(self._path, {layout.HEADER, *layout.NOTES})
        self._refuse_mixed_formats()
        template = self._template(template_id, None, samples, text)
        if own is None or errors(self._files.findings):
            return template
        is_mjml = self._sources["body"].endswith(layout.MJML_BODY)
        texts = _Texts(own, translations, MJML if is_mjml else None)
        fields, version = _messages(template_id, header, texts)
        found: list[Finding] = []
        created = _parsed(CreateTemplate, fields, self._limits, template.field_finding, found)
        published = _parsed(PublishVersion, version, self._limits, template.finding, found)
        if created is not None and published is not None:
            definition = _definition(header, texts, created, published)
            return replace(template, definition=definition)
        # What both messages have, as an invalid id, is one problem.
        found = [*template.findings, *dict.fromkeys(found)]
        return replace(template, findings=of_template(template_id, found))

    def _template(
        self,
        template_id: str,
        definition: Definition | None,
        samples: Sequence[Sample],
        header_text: str | None,
    ) -> FolderTemplate:
        return FolderTemplate(
            path=self._name,
            template_id=template_id,
            definition=definition,
            samples=samples,
            files=self._sources,
            positions=Positions(header_text or "", of_toml),
            findings=of_template(template_id, self._files.findings),
        )

    def _texts(self, folder: Path, kind: str, prefix: str) -> dict[Part, str] | None:
        """Return the sources in a folder, or None with a finding."""
        names = {entry.name for entry in self._files.entries(folder)}
        body = self._body_name(folder, names, kind, prefix)
        if body is None:
            return None
        texts: dict[Part, str] = {}
        for part in PARTS:
            name = body if part == "body" else layout.PART_FILES[part]
            if name not in names:
                continue
            self._sources[f"{prefix}{part}"] = self._files.name(folder / name)
            limits = self._limits
            limit = limits.body_bytes if part in {"body", "text"} else limits.subject_bytes
            # A line break at the end is not part of the text, nor is a byte order mark.
            text = self._files.read(folder / name, limit + 5, keeps_mark=self._header.keeps_mark)
            if text is not None:
                texts[part] = layout.without_last_line_break(name, text)
        return texts

    def _body_name(self, folder: Path, names: set[str], kind: str, prefix: str) -> str | None:
        expected = layout.body_file(kind)
        if kind == "email" and layout.MJML_BODY in names:
            if expected not in names:
                return layout.MJML_BODY
            message = f"there is a {layout.MJML_BODY}, too: delete the file that is not the source"
            self._add(folder / expected, "two_bodies", message)
            return None
        wrong = sorted(names & layout.EVERY_BODY - {expected})
        for name in wrong:
            message = f"the body of a template of type '{kind}' is {expected}: rename the file"
            self._add(folder / name, "wrong_body", message)
        if expected in names:
            return expected if not wrong else None
        if not wrong:
            message = f"{expected} is missing: it is the body of a template of type '{kind}'"
            if prefix:
                message = f"{expected} is missing: it is the body of the translation"
            self._add(folder / expected, "missing_file", message)
        return None

    def _refuse_mixed_formats(self) -> None:
        bodies = [file for path, file in self._sources.items() if path.endswith("body")]
        mjml = [file for file in bodies if file.endswith(layout.MJML_BODY)]
        for file in mjml if len(mjml) < len(bodies) else ():
            message = "the bodies of a template are MJML in all of its languages, or in none"
            self._files.findings.append(error(file, "mixed_formats", message))

    def _translations(self, kind: str) -> dict[str, dict[Part, str]]:
        folder = self._path / layout.TRANSLATIONS
        if not os.path.lexists(folder):
            return {}
        found: dict[str, dict[Part, str]] = {}
        for entry in self._files.entries(folder):
            path = folder / entry.name
            if not path.is_dir():
                message = "expected folders that are named after languages, such as 'de'"
                self._add(path, "unexpected_file", message)
                continue
            try:
                language = canonical_language(entry.name)
            except ValueError as problem:
                self._add(path, "language_code", f"{problem}, such as 'de' or 'pt-BR'")
                continue
            if language in found:
                self._add(path, "same_language", f"another folder is '{language}', too")
                continue
            texts = self._texts(path, kind, f"translations.{language}.")
            self._unknown_files(path, layout.NOTES)
            if texts is not None:
                found[language] = texts
        return found

    def _samples(self, kind: str) -> list[Sample]:
        folder = self._path / layout.SAMPLES
        if not os.path.lexists(folder):
            return []
        endings = sample_files.expected_files(kind)
        expected: dict[str, dict[Part, str]] = defaultdict(dict)
        samples: list[Sample] = []
        limit = max(self._limits.output_bytes, self._limits.variables_bytes)
        outputs: list[tuple[str, Part, str]] = []
        for entry in self._files.entries(folder):
            part = next((each for each, end in endings.items() if entry.name.endswith(end)), None)
            if part is not None and entry.name != endings[part]:
                outputs.append((entry.name, part, endings[part]))
            elif entry.name.endswith(layout.SAMPLE_SUFFIX):
                samples += self._sample(folder / entry.name, limit)
            elif entry.name not in layout.NOTES:
                message = "expected a sample such as ada.json, or what is expected of one, such as "
                self._add(folder / entry.name, "unexpected_file", f"{message}ada{endings['body']}")
        known = {sample.name for sample in samples}
        for name, part, end in outputs:
            text = self._files.read(folder / name, limit, keeps_mark=True)
            sample = name.removesuffix(end)
            if sample not in known and not (folder / f"{sample}.json").exists():
                message = f"sample {sample}.json of this expected output does not exist"
                self._add(folder / name, "no_sample", message)
            elif text is not None:
                expected[sample][part] = layout.without_last_line_break(name, text)
        return [replace(sample, expected=expected[sample.name]) for sample in samples]

    def _sample(self, path: Path, limit: int) -> list[Sample]:
        text = self._files.read(path, limit)
        if text is None:
            return []
        name = path.name.removesuffix(layout.SAMPLE_SUFFIX)
        sample, findings = sample_files.parse(text, name, self._files.name(path))
        self._files.findings += findings
        return [] if sample is None else [sample]

    def _unknown_files(self, folder: Path, known: set[str] | frozenset[str]) -> None:
        folders = {layout.TRANSLATIONS, layout.SAMPLES} if folder == self._path else set()
        for entry in self._files.entries(folder):
            if entry.name in known | layout.SOURCE_FILES | folders:
                continue
            names = ", ".join(sorted({*layout.PART_FILES.values(), *folders}))
            message = f"not a file of a template; available: the body, {names}"
            self._add(folder / entry.name, "unexpected_file", message)

    def _file(self, name: str) -> str:
        return joined(self._name, name)

    def _add(self, path: Path, code: str, message: str) -> None:
        self._files.findings.append(error(self._files.name(path), code, message))


def _messages(
    template_id: str, header: Header, texts: _Texts
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keywords of ``template.create`` and ``version.publish``."""
    name = template_id if header.template_id is None else header.template_id
    fields = {"template_id": name, **header.fields}
    version: dict[str, Any] = dict(texts.own.items())
    version |= {
        "template_id": name,
        "format": texts.format,
        "inline_css": header.inline_css,
        "metadata": header.version_metadata,
        "variables": header.variables,
        "translations": {language: dict(text) for language, text in texts.translations.items()},
    }
    return fields, version


def _parsed(
    model: type[M],
    keywords: Mapping[str, Any],
    limits: Limits,
    finding: Callable[[Problem], Finding],
    found: list[Finding],
) -> M | None:
    """Return a message; None adds its problems to ``found``."""
    try:
        return parse_message(model, keywords, limits)
    except ServiceError as refusal:
        found += map(finding, refusal.details)
        return None


def _definition(
    header: Header, texts: _Texts, template: CreateTemplate, version: PublishVersion
) -> Definition:
    """Return a definition whose members are valid in messages."""
    variables = header.variables
    return Definition(
        template_id=template.template_id,
        name=template.name,
        type=template.type,
        own=_sources(texts.own),
        format=texts.format,
        description=template.description,
        category=template.category,
        is_active=template.is_active,
        metadata=template.metadata,
        inline_css=version.inline_css,
        variables=None if variables is None else normal(variables),
        version_metadata=version.metadata,
        translations={language: _sources(text) for language, text in texts.translations.items()},
    )


def _sources(texts: Mapping[Part, str]) -> Sources:
    return Sources(texts.get("subject"), texts["body"], texts.get("text"), texts.get("preheader"))
