"""As which user a server runs that refuses to run as root, and where its files may be.

PostgreSQL does not start as root. When root starts it, it becomes the user ``nobody``, which often
can reach neither programs nor data: a checkout in /root lies behind a folder with mode 0700. No
permission outside the checkout is changed for that. Instead the server keeps the one capability to
read and search everything; where a container withholds it, programs and data move to the
folder for temporary files.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from db.cluster.processes import LocalServerError, Rights, launched

# In the order they are tried. Docker's default set lacks the first and has the second, which
# also writes anything; the container is the fence then.
CAP_DAC_READ_SEARCH = 2
CAP_DAC_OVERRIDE = 1
NOBODY = 65534
CAPABILITIES = (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)
PROBE_TIMEOUT = 20.0


def user_for(data: Path) -> Rights:
    """Return who runs a server with these data: this user, or for root an unprivileged one.

    Data that already have an owner are served as that owner.

    Raises
    ------
    LocalServerError
        When this root has so few rights that it could not look after another user's files.
    """
    if os.geteuid() != 0:
        return Rights()
    if sys.platform == "linux" and not any(map(_permitted, CAPABILITIES)):
        raise LocalServerError(
            "PostgreSQL does not run as root, and this root may not read another user's files: "
            "run this as an ordinary user"
        )
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Rights(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Rights(NOBODY, NOBODY)
    return Rights(nobody.pw_uid, nobody.pw_gid)


def with_reach(rights: Rights, program: Path, files: list[Path]) -> Rights | None:
    """Return ``rights``, widened by a capability if need be, so that they reach all files.

    Parameters
    ----------
    rights
        Of :func:`user_for`.
    program
        A program that ends at once with status 0 when called with ``--version``.
    files
        What it must be able to read besides.

    Returns
    -------
    Rights or None
        ``None`` when no capability helps here.
    """
    if rights.user is None:
        return rights
    if all(_reaches(rights, path) for path in (program, *files)):
        return rights
    for capability in CAPABILITIES:
        wider = Rights(rights.user, rights.group, capability)
        if _permitted(capability) and all(_works(wider, program, path) for path in files):
            return wider
    return None


def private_copy(rights: Rights, folders: list[Path]) -> Path:
    """Copy folders to a new one for temporary files, where ``rights`` can read them.

    Raises
    ------
    LocalServerError
        When those rights cannot reach the folder for temporary files either.
    """
    if not _reaches(rights, Path(tempfile.gettempdir())):
        raise LocalServerError(
            f"PostgreSQL does not run as root, and the user {rights.user} can reach neither this "
            f"checkout nor {tempfile.gettempdir()}: run this as an ordinary user, move the "
            "checkout to a folder that everyone may search, or set TMPDIR to one"
        )
    target = Path(tempfile.mkdtemp(prefix="template-service-"))
    target.chmod(0o711)
    for folder in folders:
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("include"))
    for path in (target, *target.rglob("*")):
        if not path.is_symlink() and path != target:
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    return target


def give(path: Path, rights: Rights) -> None:
    """Make ``rights`` own the file or folder.

    Raises
    ------
    LocalServerError
        When this process may not give files away.
    """
    if rights.user is None or rights.group is None:
        return
    try:
        os.chown(path, rights.user, rights.group)
    except OSError as error:
        raise LocalServerError(
            f"PostgreSQL does not run as root, and {path} cannot be given to user {rights.user} "
            f"({error.strerror}): run this as an ordinary user"
        ) from error


def _reaches(rights: Rights, path: Path) -> bool:
    """Tell from the permission bits whether path can be read, and each folder above searched."""
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
    if sys.platform != "linux":
        return False
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapPrm":
            return bool(int(value, 16) >> capability & 1)
    return False


def _works(rights: Rights, program: Path, path: Path) -> bool:
    probe = subprocess.run(  # noqa: S603 - the program of the wheel
        launched([str(program), "--version"], rights, reach=path),
        capture_output=True,
        timeout=PROBE_TIMEOUT,
        check=False,
        cwd="/",
    )
    return probe.returncode == 0
