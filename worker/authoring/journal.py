"""Changes of many files, all or none: written down first, then made; an interrupted run is resumed.

The journal lies in the hidden folder of the state, and is there from the moment at which all
changes are known until the last one is made.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from worker.authoring.files import remove, require_inside, write
from worker.authoring.layout import STATE

Changes = Mapping[Path, bytes | None]
"""The new contents of files; None deletes one."""

_FILE = "pull.json"


def make(root: Path, changes: Changes) -> None:
    """Make changes below a folder.

    Raises
    ------
    FolderError
        A symbolic link leads elsewhere; nothing is changed.
    OperationError
        A file cannot be written; :func:`resume` goes on from there.
    """
    for path in changes:
        require_inside(root, path)
    entries = [
        {"path": path.relative_to(root).as_posix(), "before": _checksum(path), "text": _text(data)}
        for path, data in changes.items()
    ]
    if entries:
        write(root, root / STATE / _FILE, json.dumps(entries).encode())
        resume(root)


def resume(root: Path) -> None:
    """Make the changes of a run that was interrupted, but of files that were edited since."""
    journal = root / STATE / _FILE
    try:
        entries = json.loads(journal.read_bytes())
    except (OSError, ValueError):
        return
    for entry in entries:
        path, text = root / entry["path"], entry["text"]
        require_inside(root, path)
        if _checksum(path) != entry["before"]:
            continue
        if text is not None:
            write(root, path, text.encode())
        elif entry["before"] is not None:
            remove([path])
    journal.unlink()


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def _checksum(path: Path) -> str | None:
    """Return the checksum of a file, None if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
