"""Where drills are held: a folder and a server of their own, gone when they are over."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from db.backup.policy import BackupPolicy
from db.backup.store import unwritable
from db.cluster.private import PrivateCluster
from db.cluster.processes import LocalServerError, Rights
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, user_for
from db.errors import OperationError

PREFIX: Final = "template-service-drill-"
# Between its making and its lock a folder is nobody's: seconds are enough for that.
_TAKEN_AFTER: Final = 60.0
# A crash of the machine may take all of it: it is made anew each time.
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}


@contextmanager
def drill_folder(policy: BackupPolicy) -> Iterator[tuple[Path, Rights]]:
    """Yield a new folder that only the one who runs the server may enter, and who that is.

    It is held by a lock of this process, so that the next drill knows the leftovers of a killed
    one, and removes them.

    Raises
    ------
    OperationError
        ``disk_full``, ``target_unwritable``; ``not_reachable``: this root may not give files away.
    """
    base = Path(policy.scratch or tempfile.gettempdir())
    _clear_leftovers(base)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    except OSError as error:
        raise unwritable(str(base), error) from None
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            rights = user_for(folder)
            give(folder, rights)
        except LocalServerError as error:
            raise OperationError(
                "not_reachable", str(error), "run this as an ordinary user"
            ) from None
        yield folder, rights
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextmanager
def new_cluster(programs: Programs, folder: Path) -> Iterator[PrivateCluster]:
    """Yield a new server, started, with its data in ``folder``.

    Raises
    ------
    OperationError
        ``initdb_failed``, ``server_failed``, ``disk_full``.
    """
    cluster = PrivateCluster(programs, folder / "data", settings=_SETTINGS)
    cluster.initialise()
    with cluster:
        yield cluster


def _clear_leftovers(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or another drill removes it too
            if time.time() - folder.stat().st_mtime < _TAKEN_AFTER:
                continue
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
