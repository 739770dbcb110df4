"""The unprivileged user of a server that refuses to run as root, and the files it can reach.

PostgreSQL does not start as root. Root starts it as the user ``nobody``, who often can reach
neither programs nor data: a checkout in /root lies below a directory with mode 0700. No permission
outside the checkout is changed for that. Instead the server keeps the one capability to read and
search everything; where a container withholds it, programs and data move to a temporary directory.

"""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from db.cluster.children import Rights, run_program
from db.errors import Kind, OperationError

# In the order they are tried. Docker's default set lacks the first and has the second, which
# also writes anything; the container is the fence then.
CAP_DAC_READ_SEARCH: Final = 2
CAP_DAC_OVERRIDE: Final = 1
CAPABILITIES: Final = (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)
NOBODY: Final = 65534
PROBE_TIMEOUT: Final = 20.0


def user_for(data: Path) -> Rights:
    """Return the user that runs a server with these data: this one, or for root another.

    Data that already have an owner are served as that owner.

    Raises OperationError: ``not_reachable``: this root may not read files of another user.
    """
    if os.geteuid() != 0:
        return Rights()
    if not any(map(_permitted, CAPABILITIES)):
        raise not_reachable("this root may not read another user's files")
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Rights(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Rights(NOBODY, NOBODY)
    return Rights(nobody.pw_uid, nobody.pw_gid)


def with_reach(rights: Rights, program: Path, files: Sequence[Path]) -> Rights | None:
    """Return ``rights``, with a capability if needed to read all files; ``None`` if none helps.

    Parameters
    ----------
    rights
        Result of :func:`user_for`.
    program
        A program that ends at once with status 0 when called with ``--version``.
    files
        What it must be able to read besides.
    """
    if rights.user is None or all(reaches(rights, path) for path in (program, *files)):
        return rights
    for capability in CAPABILITIES:
        wider = Rights(rights.user, rights.group, capability)
        if _permitted(capability) and all(_works(wider, program, path) for path in files):
            return wider
    return None


def server_rights(program: Path, data: Path, *files: Path) -> Rights:
    """Return the rights of a server on a data directory, with which it reads ``files`` too.

    Raises OperationError: ``not_reachable``.
    """
    rights = user_for(data)
    needed = [data if data.exists() else data.parent, *files]
    reached = with_reach(rights, program, needed)
    if reached is None:
        paths = ", ".join(map(str, needed))
        raise not_reachable(f"user {rights.user} cannot reach {paths} or PostgreSQL's programs")
    return reached


def private_copy(rights: Rights, folders: Sequence[Path], into: Path | None = None) -> Path:
    """Copy directories to a temporary directory, by default a new one, where ``rights`` read them.

    Raises OperationError: ``not_reachable``: those rights cannot reach the temporary directory
    either.
    """
    if not reaches(rights, Path(tempfile.gettempdir())):
        raise not_reachable(
            f"user {rights.user} can reach neither this checkout nor {tempfile.gettempdir()}"
        )
    target = into or Path(tempfile.mkdtemp(prefix="template-service-"))
    target.chmod(0o711)
    for folder in folders:
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("include"))
    for path in target.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    return target


def give(path: Path | int, rights: Rights) -> None:
    """Make the user of ``rights`` the owner of a file or directory, or of an open file.

    Raises OperationError: ``not_reachable``: this process may not give files away.
    """
    if rights.user is None or rights.group is None:
        return
    try:
        os.chown(path, rights.user, rights.group)
    except OSError as error:
        raise not_reachable(
            f"{path if isinstance(path, Path) else 'a temporary file'} cannot be given to user "
            f"{rights.user} ({error.strerror})"
        ) from error


def not_reachable(reason: str) -> OperationError:
    """Return the error for files that the unprivileged user cannot be given, or cannot reach."""
    return OperationError(
        Kind.NOT_REACHABLE,
        f"PostgreSQL does not run as root, and {reason}",
        "run this as an ordinary user, or use directories that everyone may search (TMPDIR names "
        "the temporary one)",
    )


def reaches(rights: Rights, path: Path) -> bool:
    """Tell from the permission bits whether a path can be read and its parents be searched."""
    real = path.resolve()
    needed = stat.S_IROTH | stat.S_IXOTH if os.access(real, os.X_OK) else stat.S_IROTH
    if real.is_dir():
        needed = stat.S_IXOTH
    wanted = [(real, needed), *((parent, stat.S_IXOTH) for parent in real.parents)]
    return all(_grants(rights, each.stat(), bits) for each, bits in wanted)


def _grants(rights: Rights, found: os.stat_result, bits: int) -> bool:
    if found.st_uid == rights.user:
        bits <<= 6
    elif found.st_gid == rights.group:
        bits <<= 3
    return found.st_mode & bits == bits


def _permitted(capability: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapPrm":
            return bool(int(value, 16) >> capability & 1)
    return False


def _works(rights: Rights, program: Path, path: Path) -> bool:
    command = [str(program), "--version"]
    return run_program(command, rights, timeout=PROBE_TIMEOUT, reach=path).returncode == 0
