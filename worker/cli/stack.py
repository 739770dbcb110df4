"""``template-service up``, ``down`` and ``status``: the service on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli.base import Command
from worker.cli.options import json_option
from worker.cli.output import print_addresses, print_json, print_result

if TYPE_CHECKING:
    from worker.local.stack import LocalStack

NOT_RUNNING: Final = 3
"""Exit status of the LSB for "program is not running"."""


@click.command(cls=Command, example="up --detach")
@click.option(
    "--detach", is_flag=True, help="Run in the background; return when every part is ready."
)
@json_option
def up(*, detach: bool, json_: bool) -> None:
    """Start PostgreSQL, Valkey, a worker, beat and Flower until Ctrl-C.

    Needs no other installation. Data are kept in .local between starts.
    """
    from worker.directories import local_directory
    from worker.local.stack import LocalStack
    from worker.local.supervisor import (
        AlreadyRunningError,
        permissions_explained,
        run,
        supervising,
    )
    from worker.local.supervisor import detach as start_detached

    def ready(stack: LocalStack) -> None:
        _print(stack, json_=json_, hint="Stop with Ctrl-C")

    with permissions_explained():
        directory = local_directory()
        try:
            if detach:
                stack = start_detached(directory)
                _print(stack, json_=json_, hint="Stop with: template-service down")
            else:
                run(directory, ready)
                if not json_:
                    print("Stopped.")
        except AlreadyRunningError:
            if (other := supervising(directory)) is None or not LocalStack(directory).started():
                raise
            hint = f"Already running as process {other.pid}; stop with: template-service down"
            _print(LocalStack(directory), json_=json_, hint=hint)
            sys.exit(0 if detach else 1)


@click.command(cls=Command, example="down")
@json_option
def down(*, json_: bool) -> None:
    """Stop everything that `up` started, and wait until it has stopped."""
    from worker.directories import local_directory
    from worker.local.supervisor import down as stop_stack
    from worker.local.supervisor import permissions_explained

    with permissions_explained():
        is_stopped = stop_stack(local_directory())
    sentence = "Stopped." if is_stopped else "Nothing was running."
    print_result({"stopped": is_stopped}, sentence, json_=json_)


@click.command(cls=Command, example="status --json")
@json_option
def status(*, json_: bool) -> None:
    """Show whether each part is running. Exits 3 unless all are."""
    from worker.directories import local_directory
    from worker.local.stack import LocalStack
    from worker.local.supervisor import permissions_explained, supervising

    with permissions_explained():
        directory = local_directory()
        rows: list[dict[str, Any]] = [
            {
                "part": part.name,
                "state": "running" if part.answers else "stopped" if part.pid is None else "silent",
                "pid": part.pid,
                "address": part.address,
            }
            for part in LocalStack(directory).status()
        ]
        supervisor = supervising(directory)
    if json_:
        print_json({"parts": rows, "supervisor": None if supervisor is None else supervisor.pid})
    else:
        print(f"{'PART':<10}{'STATE':<16}{'PID':<10}ADDRESS")
        for row in rows:
            pid, address = row["pid"] or "-", row["address"] or "-"
            print(f"{row['part']:<10}{row['state']:<16}{pid:<10}{address}")
        if supervisor is None and any(row["pid"] for row in rows):
            print("The supervisor is gone; stop the remaining parts with: template-service down")
    if supervisor is None or any(row["state"] != "running" for row in rows):
        sys.exit(NOT_RUNNING)


def _print(stack: LocalStack, *, json_: bool, hint: str) -> None:
    from worker.local.server import mask

    facts = {
        "postgresql": mask(stack.postgres.url),
        "valkey": mask(stack.valkey.url),
        "flower": stack.flower_url,
        "metrics": stack.metrics_urls,
        "logs": stack.logs,
        "environment_file": stack.environment_file,
    }
    if json_:
        print_json(facts)
        sys.stdout.flush()
        return
    for name in ("PostgreSQL", "Valkey"):
        print(f"{name:<12}{facts[name.lower()]}")
    print_addresses(stack)
    print(f"{'Logs':<12}{stack.logs}")
    print(hint, flush=True)
