"""Writing definitions into a folder: only the files that differ, each whole or not at all."""

from contextlib import suppress
from pathlib import Path

from tasks.messages.fields import canonical_language
from tasks.rendering.texts import PARTS, Sources
from worker.authoring import header, layout
from worker.authoring.definition import MJML, Definition
from worker.authoring.files import remove, write


def contents(definition: Definition, folder: Path) -> dict[str, str]:
    """Return the sources of a definition by file, with slashes, without ``template.toml``.

    A translation stays in the folder that it has, which may be written ``pt_br``.
    """
    known = {}
    for path in _language_folders(folder):
        with suppress(ValueError):
            known[canonical_language(path.name)] = path.name
    files = _texts(definition, definition.own, "")
    for language, text in definition.translations.items():
        name = known.get(language, language)
        files |= _texts(definition, text, f"{layout.TRANSLATIONS}/{name}/")
    return files


def write_template(root: Path, folder: Path, definition: Definition) -> list[str]:
    """Write a definition into a template's folder; return the files that changed."""
    changed = changes(folder, definition)
    for path, data in changed.items():
        if data is not None:
            write(root, path, data)
    remove([path for path, data in changed.items() if data is None])
    return sorted(_name(folder, path) for path in changed)


def changes(folder: Path, definition: Definition) -> dict[Path, bytes | None]:
    """Return the contents of the files that differ from a definition, None for those to delete.

    Samples and notes stay.
    """
    found: dict[Path, bytes | None] = {}
    wanted = contents(definition, folder)
    for file, text in wanted.items():
        path = folder / file
        if not _says(path, path.name, text):
            found[path] = layout.with_last_line_break(path.name, text).encode()
    path = folder / layout.HEADER
    existing = _existing(path)
    if existing is None or not header.says(existing, definition, folder.name):
        found[path] = header.written(definition, folder.name, existing).encode()
    for each in _source_files(folder):
        if _name(folder, each) not in wanted:
            found[each] = None
    return found


def _texts(definition: Definition, sources: Sources, prefix: str) -> dict[str, str]:
    files = {}
    for part in PARTS:
        text = getattr(sources, part)
        if text is not None:
            is_mjml = definition.format == MJML
            body = layout.body_file(definition.type, is_mjml=is_mjml)
            name = body if part == "body" else layout.PART_FILES[part]
            files[f"{prefix}{name}"] = text
    return files


def _language_folders(folder: Path) -> list[Path]:
    return sorted((folder / layout.TRANSLATIONS).glob("*/"))


def _source_files(folder: Path) -> list[Path]:
    """Return the sources that a folder has, of all languages."""
    folders = [folder, *_language_folders(folder)]
    return [
        path
        for each in folders
        for name in sorted(layout.SOURCE_FILES)
        if (path := each / name).exists()
    ]


def _says(path: Path, name: str, text: str) -> bool:
    existing = _existing(path)
    return existing is not None and layout.without_last_line_break(name, existing) == text


def _existing(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
