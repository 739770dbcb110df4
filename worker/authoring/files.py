"""Files of a folder, read and written safely: inside the folder, within limits, atomically."""

import codecs
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from db.errors import OperationError
from worker.authoring.findings import Finding, FolderError, error, warning
from worker.authoring.positions import repeated_key

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BOM: Final = codecs.BOM_UTF8


class Files:
    """The files below a folder.

    What cannot be read becomes an error in ``findings``, and what is read all the same a warning.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.findings: list[Finding] = []
        self._real = Path(os.path.realpath(root))

    def name(self, path: Path) -> str:
        """Return the path from the folder, as findings show it."""
        return path.relative_to(self.root).as_posix()

    def is_inside(self, path: Path) -> bool:
        """Return whether a path, with its symbolic links followed, leads into the folder."""
        return Path(os.path.realpath(path)).is_relative_to(self._real)

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return a folder's contents by name, except hidden files and links out of the root."""
        if not self.is_inside(folder):
            self._refuse_link(folder)
            return []
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as problem:
            self._unreadable(folder, problem)
            return []
        kept = (entry for entry in entries if not is_ignored(entry.name))
        return [entry for entry in kept if self._is_named(folder, entry.name)]

    def read(self, path: Path, limit: int, *, keeps_mark: bool | None = None) -> str | None:
        """Return the text of a file, or None with a finding.

        Parameters
        ----------
        path
            The file.
        limit
            The most bytes that it may have.
        keeps_mark
            Whether a byte order mark at its beginning is part of the text; None if it cannot be.
        """
        data = self.read_bytes(path, limit)
        return None if data is None else self._decoded(path, data, keeps_mark=keeps_mark)

    def read_bytes(self, path: Path, limit: int) -> bytes | None:
        """Return the contents of a file, or None with a finding."""
        if not self.is_inside(path):
            self._refuse_link(path)
            return None
        try:
            # A pipe without a writer would never open.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    self._refuse(path, "not_a_file", "expected a file with text")
                    return None
                if status.st_size > limit:
                    message = f"the file has {status.st_size} bytes, the limit is {limit}"
                    self._refuse(path, "too_large", message)
                    return None
                data = file.read(status.st_size + 1)
        except OSError as problem:
            self._unreadable(path, problem)
            return None
        return data

    def _decoded(self, path: Path, data: bytes, *, keeps_mark: bool | None) -> str | None:
        if data.startswith(_UTF16) or data[1:2] == b"\x00" or data[:1] == b"\x00":
            self._refuse(path, "encoding", "the file is UTF-16: save it as UTF-8")
            return None
        if data.startswith(_BOM) and not keeps_mark:
            message = "the file begins with a byte order mark: save it as UTF-8 without BOM"
            if keeps_mark is not None:
                message += ", for readers would be sent it, or set byte_order_mark = true in "
                message += "template.toml to keep it"
            self._refuse(path, "byte_order_mark", message)
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError as problem:
            line = data.count(b"\n", 0, problem.start) + 1
            column = problem.start - data.rfind(b"\n", 0, problem.start)
            message = f"the file is not UTF-8: byte 0x{data[problem.start]:02x}; save it as UTF-8"
            self.findings.append(error(self.name(path), "encoding", message, line, column))
            return None
        if "\0" in text:
            place = text.index("\0")
            line = text.count("\n", 0, place) + 1
            column = place - text.rfind("\n", 0, place)
            message = "expected text without U+0000"
            self.findings.append(error(self.name(path), "nul", message, line, column))
            return None
        if b"\r\n" in data:
            message = (
                "the lines end with CRLF, and are published so: save the file with LF, "
                "or have git leave line ends unchanged (* -text in .gitattributes)"
            )
            line = data.count(b"\n", 0, data.index(b"\r\n")) + 1
            self.findings.append(warning(self.name(path), "line_endings", message, line, 1))
        return text

    def _is_named(self, folder: Path, name: str) -> bool:
        """Return whether a name is UTF-8; any other is refused, for no report could show it."""
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode(errors="backslashreplace")
            self._refuse(folder / shown, "encoding", "the file's name is not UTF-8: rename it")
            return False
        return True

    def _refuse_link(self, path: Path) -> None:
        message = "a symbolic link leads out of the folder: put a copy of the file in its place"
        self._refuse(path, "link_outside", message)

    def _unreadable(self, path: Path, problem: OSError) -> None:
        message = f"cannot be read: {problem.strerror or problem}"
        self._refuse(path, "unreadable", message)

    def _refuse(self, path: Path, code: str, message: str) -> None:
        finding = error(self.name(path), code, message)
        if finding not in self.findings:  # a folder may be listed more than once
            self.findings.append(finding)


def write(root: Path, path: Path, data: bytes) -> None:
    """Write a file atomically, and never through a link out of the folder ``root``.

    Raises
    ------
    FolderError
        A symbolic link leads elsewhere.
    OperationError
        The file cannot be written.
    """
    require_inside(root, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
            try:
                file.write(data)
                # A temporary file is private; these are for all users of the checkout.
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise OperationError(
            "not_writable",
            f"{path} cannot be written: {reason}",
            "check the path's permissions and free space",
        ) from problem


def require_inside(root: Path, path: Path) -> None:
    """Refuse to write through a symbolic link out of the folder ``root``.

    Raises
    ------
    FolderError
        A symbolic link leads elsewhere.
    """
    files = Files(root)
    if not files.is_inside(path.parent):
        message = "a symbolic link leads out of the folder: nothing is written there"
        raise FolderError([error(files.name(path), "link_outside", message)])


def remove(paths: Iterable[Path]) -> None:
    """Delete files, and the folders that are empty then."""
    for path in paths:
        path.unlink(missing_ok=True)
        parent = path.parent
        if not any(parent.iterdir()):
            parent.rmdir()


def parse_json(text: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return a JSON value; of a key that appears twice, only one value would be left.

    Raises
    ------
    json.JSONDecodeError
        The text is not JSON, or an object has a key twice.
    """
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    value = json.loads(text, object_pairs_hook=unique)
    if twice:
        place = repeated_key(text)
        raise json.JSONDecodeError(f"the key '{twice[0]}' appears twice", text, place)
    return value


def is_ignored(name: str) -> bool:
    """Return whether a file is not of a template: hidden, or an editor's backup."""
    return name.startswith(".") or name.endswith("~")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
