"""The commands that a server runs to archive WAL and to restore it.

Programs of this service run where it is installed under the same path on the server's machine. Of
keys they get the files' names.
"""

import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from db.cluster.children import ENVIRONMENT
from db.errors import Kind, OperationError
from db.recovery.compression import SUFFIX
from db.recovery.policy import RecoveryPolicy

PROGRAM: Final = "program"
"""File next to archive.sh that runs the archive program, where one is needed."""
PULL: Final = "pull.py"
_DOUBLED: Final = re.compile(r"(['\\%])\1")
_ARCHIVE_COMMAND: Final = re.compile(r"^archive_command = '(sh .*)'$", re.MULTILINE)


def archive_program(policy: RecoveryPolicy) -> str | None:
    """Return the script that archive.sh runs to store a file; ``None`` if it does so itself."""
    if not policy.recipients_file and not policy.target:
        return None
    recipients, credentials = map(_absolute, (policy.recipients_file, policy.credentials_file))
    options = ["--recipients", recipients] * bool(recipients)
    options += ["--credentials", credentials] * bool(credentials)
    if policy.archive_jobs > 1 and not policy.before_archive.strip():
        options += ["--jobs", str(policy.archive_jobs), "--spool", str(policy.wal)]
    words = [*_program("push.py"), *options, str(policy.storage.wal)]
    return f'# Written by pitr setup.\nexec {shlex.join(words)} "$@"'


def restore_command(policy: RecoveryPolicy) -> str:
    """Return the ``restore_command`` that reads an archive.

    A standby asks for the next segment every five seconds: one that is not there is no error.
    """
    segment = f"{_quoted(policy.wal)}/'%f'"
    if shutil.which("zstd", path=ENVIRONMENT["PATH"]) is not None:
        decompress = f"zstd -dqf {segment}{SUFFIX} -o '%p'"
    else:
        program = " ".join(map(_quoted, _program("decompress.py")))
        decompress = f"{program} {segment}{SUFFIX} '%p'"
    copy = f"if test -f {segment}; then cp {segment} '%p'; "
    if not needs_python(policy):
        return f"{copy}else test -f {segment}{SUFFIX} && {decompress}; fi"
    keys = (_absolute(policy.identity_file), _absolute(policy.credentials_file))
    words = map(_quoted, [*_program(PULL), *keys, policy.storage.wal])
    pull = f"{' '.join(words)} '%f' '%p'"
    if policy.target:
        return pull
    return (
        f"{copy}elif test -f {segment}{SUFFIX}; then {decompress}; "
        f'else set -- {segment}-*; test -f "$1" && {pull}; fi'
    )


def needs_python(policy: RecoveryPolicy) -> bool:
    """Return whether a recovering server needs the program of this service to read the archive."""
    return bool(policy.identity_file or policy.target)


def runs_python(data: Path) -> bool:
    """Return whether the commands in the settings of a data directory are of this service."""
    try:
        settings = (data / "postgresql.auto.conf").read_text(errors="replace")
    except FileNotFoundError:
        return False
    for value in _ARCHIVE_COMMAND.findall(settings):
        with suppress(ValueError, IndexError):  # a command of the operator's own
            # ALTER SYSTEM doubles quotes and backslashes, and "pitr setup" doubles %.
            script = shlex.split(_DOUBLED.sub(r"\1", value))[1]
            if Path(script).with_name(PROGRAM).exists():
                return True
    return PULL in settings


def require_credentials(policy: RecoveryPolicy) -> None:
    """Refuse a recovery whose server would not get the credentials (``credentials_missing``)."""
    if policy.target and not policy.credentials_file and "AWS_ACCESS_KEY_ID" in os.environ:
        raise OperationError(
            Kind.CREDENTIALS_MISSING,
            f"a recovering server cannot read {policy.target}: it does not get the AWS_* variables "
            "of this environment",
            "set TEMPLATE_SERVICE_RECOVERY_CREDENTIALS_FILE to a file with them",
        )


def command_reads(policy: RecoveryPolicy) -> list[Path]:
    """Return what a server must be able to read for :func:`restore_command`."""
    if not needs_python(policy):
        return [policy.wal]
    program = [Path(word) for word in _program(PULL) if not word.startswith("-")]
    given = (policy.identity_file, policy.credentials_file)
    keys = [Path(each).absolute() for each in given if each]
    archive = [] if policy.target else [policy.wal]
    return [*archive, *keys, *(path.resolve() for path in program)]


def _program(name: str) -> list[str]:
    """Return the command line of a program of this package, without its arguments."""
    return [sys.executable, "-I", str(files("db.recovery").joinpath(name))]


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def _quoted(word: object) -> str:
    return shlex.quote(str(word)).replace("%", "%%")
