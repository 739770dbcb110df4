"""Drop rights, then execute another program.

Run by its path with ``python -I -S``, and importing only the standard library, so that it starts
in a few milliseconds and needs nothing of the project. A program between fork and exec is used
rather than ``preexec_fn``, which may deadlock when the parent has threads.

::

    launch.py [--user UID GID] [--capability NUMBER] [--reach PATH]
              [--die-with PARENT SIGNAL] -- PROGRAM [ARGUMENT ...]

``--capability`` keeps that one capability besides the user's own rights, over the exec too.
``--reach`` fails early when the user could not read PATH. ``--die-with`` has the kernel send
SIGNAL to the program when the thread of PARENT that started it ends.

Exit status 126 and one line on standard error say that this program itself failed.
"""

import argparse
import ctypes
import errno
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
FAILED = 126


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def main() -> int:
    """Run the command in the arguments; return only if that failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", nargs=2, type=int)
    parser.add_argument("--capability", type=int)
    parser.add_argument("--reach")
    parser.add_argument("--die-with", nargs=2, type=int)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        if options.user is not None:
            user, group = options.user
            _become(user, group, options.capability)
        if options.reach is not None and not os.access(options.reach, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), options.reach)
        if options.die_with is not None:
            _die_with(*options.die_with)
        os.execv(options.command[0], options.command)  # noqa: S606 - becoming it is the purpose
    except OSError as error:
        sys.stderr.write(f"{options.command[0]} was not started: {error}\n")
        return FAILED


def _become(user: int, group: int, capability: int | None) -> None:
    if capability is not None:
        # Two things: the change of user keeps the capabilities until all but one are dropped
        # below, and access(2), by which PostgreSQL looks for its own programs, heeds that one.
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if capability is not None:
        _keep_only(capability)


def _keep_only(capability: int) -> None:
    # Effective serves this program, inheritable and ambient hand it on over the exec.
    libc = ctypes.CDLL(None, use_errno=True)
    header = _Header(LINUX_CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    data = (_Data * 2)(_Data(bit, bit, bit))  # both that are used have a number below 32
    if libc.capset(ctypes.byref(header), data) != 0:
        _fail("capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def _die_with(parent: int, signal: int) -> None:
    # After the change of user, which would clear it.
    _prctl(PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        raise ProcessLookupError("its parent is gone")


def _prctl(option: int, second: int, third: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value) for value in (second, third, 0, 0)]
    if libc.prctl(ctypes.c_int(option), *arguments) != 0:
        _fail("prctl")


def _fail(call: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
