"""Commands of the operator that run before and after dumps and restores, and when a run fails.

They are no shell scripts in a setting: the words of a command line, without a shell. Their
environment is that of every child program (:mod:`db.cluster.children`), with no password.
"""

import json
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any, Final, Literal

from db.cluster.children import ENVIRONMENT, start_program
from db.errors import OperationError

Event = Literal["before_dump", "after_dump", "before_restore", "after_restore", "run_failed"]
# A hook stops what it belongs to: a lost one must not do so for good.
TIMEOUT: Final = 300.0
_SHOWN: Final = 300


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
            environment={**ENVIRONMENT, "TEMPLATE_SERVICE_EVENT": event},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            is_leader=True,
        ) as child:
            try:
                _, errors = child.communicate(content, timeout=TIMEOUT)
            except BaseException:
                child.kill()
                raise
    except subprocess.TimeoutExpired:
        raise _failed(event, f"was killed after {TIMEOUT:g} s") from None
    except (OSError, ValueError) as error:
        raise _failed(event, f"cannot be started: {error}") from None
    if child.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        reported = f": {lines[-1][:_SHOWN]}" if lines else ""
        raise _failed(event, f"ended with status {child.returncode}{reported}")


def _failed(event: Event, reason: str) -> OperationError:
    return OperationError(
        "hook_failed", f"the command for {event} {reason}", "fix the command in its setting"
    )
