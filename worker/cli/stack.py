"""``template-service up``, ``down`` and ``status``: the service on this machine alone."""

import sys

import click

from worker.cli.operator import explained
from worker.local.server import mask
from worker.local.stack import LocalStack, local_directory
from worker.local.supervisor import (
    AlreadyRunningError,
    permissions_explained,
    run,
    supervising,
)
from worker.local.supervisor import detach as start_detached
from worker.local.supervisor import down as stop_stack

NOT_RUNNING = 3


@click.command()
@click.option(
    "--detach", is_flag=True, help="Return when everything answers, and leave it running."
)
@explained
def up(*, detach: bool) -> None:
    """Start PostgreSQL, Valkey, a worker, beat and Flower until Ctrl-C.

    Nothing has to be installed. Data stay in .local from one start to the next.
    """
    with permissions_explained():
        directory = local_directory()
        try:
            if detach:
                _show(start_detached(directory))
                print("Stop with: template-service down")
            else:
                run(directory, _ready)
                print("Stopped.")
        except AlreadyRunningError:
            if (other := supervising(directory)) is None or not LocalStack(directory).started():
                raise
            _show(LocalStack(directory))
            print(f"It already runs as process {other.pid}; stop it with: template-service down")
            sys.exit(0 if detach else 1)


@click.command()
@explained
def down() -> None:
    """Stop what up started, and wait until it is gone."""
    with permissions_explained():
        stopped = stop_stack(local_directory())
    print("Stopped." if stopped else "Nothing was running.")


@click.command()
@explained
def status() -> None:
    """Ask every part whether it runs. Exit status 0 if all do, else 3."""
    with permissions_explained():
        directory = local_directory()
        parts = LocalStack(directory).status()
        supervisor = supervising(directory)
    print(f"{'PART':<10}{'STATE':<16}{'PID':<10}ADDRESS")
    for part in parts:
        state = "running" if part.answers else "stopped" if part.pid is None else "silent"
        print(f"{part.name:<10}{state:<16}{part.pid or '-':<10}{part.address or '-'}")
    if supervisor is None and any(part.pid for part in parts):
        print("Nobody watches over these any more: end them with template-service down")
    if supervisor is None or not all(part.answers for part in parts):
        sys.exit(NOT_RUNNING)


def _ready(stack: LocalStack) -> None:
    _show(stack)
    print("Stop with Ctrl-C", flush=True)


def _show(stack: LocalStack) -> None:
    print(f"PostgreSQL  {mask(stack.postgres.url)}")
    print(f"Valkey      {mask(stack.valkey.url)}")
    print(f"Flower      {stack.flower_url}")
    print(f"Logs        {stack.logs}")
    print(f"The same with passwords, for a shell: . {stack.environment_file}")
