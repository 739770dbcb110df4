"""Commands of the operator that run before and after backups and restores, and when a run fails.

A setting has the words of a command line, which is run without a shell. The commands get the same
environment as every child program (:mod:`db.cluster.children`), with no password.
"""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from typing import Any, Final, Literal

from db.cluster.children import ENVIRONMENT, start_program
from db.errors import OperationError

Event = Literal[
    "before_dump",
    "after_dump",
    "before_restore",
    "after_restore",
    "before_base_backup",
    "after_base_backup",
    "before_archive",
    "after_archive",
    "run_failed",
]
# A hook stops what it belongs to: a lost one must not do so for good.
TIMEOUT: Final = 300.0
_SHOWN: Final = 300
_EVENT: Final = "TEMPLATE_SERVICE_EVENT"


def run_hook(command: str, event: Event, facts: Mapping[str, Any]) -> None:
    """Run a command, with the event and its facts as JSON on standard input; none if it is empty.

    Raises OperationError: ``hook_failed``: it cannot be started, fails, or takes too long.
    """
    if not command.strip():
        return
    content = json.dumps({"event": event, **facts}, default=str).encode() + b"\n"
    try:
        with start_program(
            shlex.split(command),
            environment={**ENVIRONMENT, _EVENT: event},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            is_leader=True,
        ) as child:
            try:
                _, errors = child.communicate(content, timeout=TIMEOUT)
            except BaseException:
                os.killpg(child.pid, signal.SIGKILL)  # with what it has started
                raise
    except subprocess.TimeoutExpired:
        raise _failed(event, f"was killed after {TIMEOUT:g} s") from None
    except (OSError, ValueError) as error:
        raise _failed(event, f"cannot be started: {error}") from None
    if child.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        reported = f": {lines[-1][:_SHOWN]}" if lines else ""
        raise _failed(event, f"ended with status {child.returncode}{reported}")


def hook_script(command: str, event: Event, directory: str) -> str:
    """Return a shell script that runs a command for archive.sh, with the same input as the others.

    It runs on the server's machine, without this service. Its arguments are the name of a file of
    WAL, and the name of its file in the archive.

    Raises OperationError: ``hook_failed``: the command line has an open quote.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _failed(event, f"cannot be started: {error}") from None
    content = f'{{"event": "{event}", "directory": %s, "entry": {{"name": "%s", "file": "%s"}}}}\\n'
    environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    program = ["timeout", f"{TIMEOUT:g}", "env", "-i", *environment, f"{_EVENT}={event}", *words]
    printed = f"printf {shlex.quote(content)} {shlex.quote(json.dumps(directory))}"
    return (
        f"# Written by pitr setup from TEMPLATE_SERVICE_RECOVERY_{event.upper()}.\n"
        f'{printed} "$1" "$2" | {shlex.join(program)} >/dev/null\n'
    )


def _failed(event: Event, reason: str) -> OperationError:
    return OperationError(
        "hook_failed", f"the command for {event} {reason}", f"fix the command in {_setting(event)}"
    )


def _setting(event: Event) -> str:
    if event == "run_failed":
        return "TEMPLATE_SERVICE_NOTIFY_COMMAND"
    group = "RECOVERY" if event.endswith(("_base_backup", "_archive")) else "BACKUP"
    return f"TEMPLATE_SERVICE_{group}_{event.upper()}"
