"""Files of a folder, read and written safely: within the folder, within limits, whole or not."""

import codecs
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from db.errors import OperationError
from worker.authoring.findings import Finding, FolderError, error, warning

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
        """Tell whether a path, with its symbolic links followed, leads into the folder."""
        return Path(os.path.realpath(path)).is_relative_to(self._real)

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return what a folder holds, by name, but for hidden files and links out of the root."""
        if not self.is_inside(folder):
            self._refuse_link(folder)
            return []
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as problem:
            self._unreadable(folder, problem)
            return []
        return [entry for entry in entries if not is_ignored(entry.name)]

    def read(self, path: Path, limit: int, *, keeps_mark: bool = False) -> str | None:
        """Return the text of a file, or None with a finding.

        Parameters
        ----------
        path
            The file.
        limit
            The most bytes that it may have.
        keeps_mark
            Whether a byte order mark at its beginning is part of the text.
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

    def _decoded(self, path: Path, data: bytes, *, keeps_mark: bool) -> str | None:
        if data.startswith(_UTF16) or data[1:2] == b"\x00" or data[:1] == b"\x00":
            self._refuse(path, "encoding", "the file is UTF-16: save it as UTF-8")
            return None
        if data.startswith(_BOM) and not keeps_mark:
            message = (
                "the file begins with a byte order mark, which readers would be sent: save it as "
                "UTF-8 without BOM, or set byte_order_mark = true in template.toml to keep it"
            )
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
        if b"\r\n" in data:
            message = (
                "the lines end with CRLF, and are published as they are: save the file with LF, "
                "or have git check it out as it is (* -text in .gitattributes)"
            )
            line = data.count(b"\n", 0, data.index(b"\r\n")) + 1
            self.findings.append(warning(self.name(path), "line_endings", message, line, 1))
        return text

    def _refuse_link(self, path: Path) -> None:
        message = "a symbolic link leads out of the folder: put a copy of the file in its place"
        self._refuse(path, "link_outside", message)

    def _unreadable(self, path: Path, problem: OSError) -> None:
        message = f"cannot be read: {problem.strerror or problem}"
        self._refuse(path, "unreadable", message)

    def _refuse(self, path: Path, code: str, message: str) -> None:
        self.findings.append(error(self.name(path), code, message))


def write(root: Path, path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and never through a link out of the folder ``root``.

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
                # A temporary file is private; these are for everybody who shares the checkout.
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise OperationError(
            "not_writable", f"{path} cannot be written: {reason}", "free the path or the disk"
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


def is_ignored(name: str) -> bool:
    """Tell whether a file is an editor's or a system's, and nobody's template."""
    return name.startswith(".") or name.endswith("~")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
