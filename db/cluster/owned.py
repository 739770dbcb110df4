"""Private temporary directories with an owner; if it was killed, they are found and removed."""

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Self

from db.cluster.processes import Identity

Purpose = Literal["drill", "programs", "restore", "server", "upload"]
_PREFIXES: Final = tuple(
    f"template-service-{purpose}-"
    for purpose in ("drill", "programs", "restore", "server", "upload")
)
_OWNER: Final = ".owner"
# A new directory is unlocked for an instant; younger ones without an owner are never orphans.
_LOCKED_AFTER: Final = 60.0


class OwnedDirectory:
    """A directory that only this user may enter, locked as long as this process needs it.

    The kernel releases the lock of a killed process; the next directory in the same place removes
    what it left.

    Raises OSError: it cannot be created.

    Parameters
    ----------
    base
        Where to create it; by default in the system's temporary directory.
    """

    def __init__(self, purpose: Purpose, base: Path | None = None) -> None:
        base = base or Path(tempfile.gettempdir())
        remove_orphans(base)
        self.path = Path(tempfile.mkdtemp(prefix=f"template-service-{purpose}-", dir=base))
        self._lock: int | None = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if (me := Identity.of(os.getpid())) is not None:
            me.write(self.path / _OWNER)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the directory."""
        self.remove()

    def remove(self) -> None:
        """Remove the directory with all files. Safe to call again."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def orphans(base: Path) -> dict[Path, int | None]:
    """Return the directories whose owner was killed, with its process number if it is known."""
    found = {}
    for folder in _owned(base):
        with suppress(OSError):  # another user's, or another process removes it
            if (descriptor := _locked_orphan(folder)) is not None:
                found[folder] = _owner(folder)
                os.close(descriptor)
    return found


def remove_orphans(base: Path) -> None:
    """Remove the directories whose owner was killed."""
    for folder in _owned(base):
        with suppress(OSError):
            if (descriptor := _locked_orphan(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)


def _owned(base: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIXES) and entry.is_dir(follow_symlinks=False):
                yield base / entry.name


def _locked_orphan(folder: Path) -> int | None:
    """Return a descriptor that locks an unused directory; ``None`` if it is in use."""
    is_young = time.time() - folder.stat().st_mtime < _LOCKED_AFTER
    if is_young and not (folder / _OWNER).exists():
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _owner(folder: Path) -> int | None:
    try:
        return int(json.loads((folder / _OWNER).read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
