"""``template-service replica``: create, monitor and promote a standby."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from db.replication.names import DEFAULT_PORT, USER
from worker.cli.base import Group
from worker.cli.operator import operator_configuration
from worker.cli.options import directory_argument, json_option, yes_option
from worker.cli.output import confirm, print_json, print_result, print_table

if TYPE_CHECKING:
    from db.replication.standby import Standby
    from db.replication.status import ReplicationStatus

BLOCKS: Final = (
    "Every write now waits for a standby. If none is left, writes stop until one is back, or until "
    "you run: template-service replica synchronous off"
)


@click.group(cls=Group, example="replica create --into standby --start\nreplica status")
def replica() -> None:
    """Create, monitor and promote a standby."""


@replica.command(example="replica create --into .local/standby --port 5433 --start")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    required=True,
    help="New data directory, on this machine.",
)
@click.option(
    "--name", default="standby1", show_default=True, help="Name of the standby and of its slot."
)
@click.option(
    "--host", default="localhost", show_default=True, help="Listen address; * for all interfaces."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Listen port.",
)
@click.option("--user", default=USER, show_default=True, help="Replication role.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the role's password (default: a generated password).",
)
@click.option("--start", is_flag=True, help="Start it after creation; it outlives this command.")
@click.option(
    "--synchronous", "wait", is_flag=True, help="Make replication synchronous; requires --start."
)
@json_option
def create(  # noqa: PLR0913 - one parameter for each option
    *,
    into: Path,
    name: str,
    host: str,
    port: int,
    user: str,
    password_file: Path | None,
    start: bool,
    wait: bool,
    json_: bool,
) -> None:
    """Create a standby of the database on this machine.

    DATABASE_URL, or TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL if set, names the primary and a role
    that may replicate and create roles. PostgreSQL must have the same major version on this machine
    and on the primary.
    """
    from db.replication import local, synchronous
    from db.replication.servers import Address, connected
    from db.replication.standby import StandbyOptions
    from db.replication.standby import create as create_standby
    from db.roles.passwords import read as read_password

    if wait and not start:
        raise click.UsageError("--synchronous requires --start: writes would wait for the standby")
    configuration = operator_configuration()
    client = configuration.client
    password = read_password(password_file) if password_file else None
    options = StandbyOptions(
        name, into, Address(host, port), configuration.operations.recovery, user
    )
    created = create_standby(client, options, password=password)
    if start:
        local.start(client.programs, created.directory)
        with connected(client.url) as connection:
            synchronous.wait_streaming(connection, [name])
            if wait:
                synchronous.switch_on(connection, [name])
    if json_:
        print_json({**asdict(created), "started": start, "synchronous": wait})
    else:
        _print_created(created, log=str(local.log_of(created.directory)) if start else None)
        if wait:
            print(BLOCKS)


@replica.command(example="replica status\nreplica status localhost:5433")
@click.argument("server", required=False)
@json_option
def status(*, server: str | None, json_: bool) -> None:
    """Show the lag of each standby. Exits 1 if there are problems.

    SERVER is HOST:PORT or a data directory (default: the primary).
    """
    from db.replication.servers import Address, connected
    from db.replication.status import replication_status

    url = operator_configuration().maintenance.url
    with connected(url, Address.read(server) if server else None) as connection:
        current = replication_status(connection)
    if json_:
        print_json(asdict(current))
    else:
        _print_status(current)
    if current.problems:
        raise click.ClickException("\n".join(current.problems))


@replica.command(example="replica promote localhost:5433")
@click.argument("server", required=False)
@click.option("--force", is_flag=True, help="Promote even if the primary answers.")
@yes_option
@json_option
def promote(*, server: str | None, force: bool, yes: bool, json_: bool) -> None:
    """Promote a standby to primary. Refused while the primary answers.

    SERVER is HOST:PORT or a data directory; optional if DATABASE_URL names several hosts, one of
    which is a standby.
    """
    from db.replication import promotion
    from db.replication.servers import Address

    url = operator_configuration().maintenance.url
    standby = Address.read(server) if server else promotion.find_standby(url)
    confirm(f"Promote the standby at {standby}? The old primary must stay stopped.", yes=yes)
    promoted = promotion.promote(url, standby, force=force)
    if json_:
        print_json(asdict(promoted))
        return
    print(f"{promoted.server} is now the primary, on timeline {promoted.timeline}.")
    commit = f"; its last commit was at {promoted.last_commit}" if promoted.last_commit else ""
    print(f"It has the old primary's WAL up to {promoted.last_received}{commit}.")
    for note in promoted.notes:
        print(note)


@replica.command("synchronous", example="replica synchronous on standby1")
@click.argument("state", type=click.Choice(["on", "off"]))
@click.argument("names", nargs=-1)
@json_option
def switch(*, state: str, names: tuple[str, ...], json_: bool) -> None:
    """Turn synchronous replication on or off.

    Writes then wait for the first connected standby of NAMES (default: of all).
    """
    from db.replication import synchronous
    from db.replication.servers import connected

    if state == "off" and names:
        raise click.UsageError("off takes no names")
    standbys: list[str] = []
    is_changed = True
    with connected(operator_configuration().maintenance.url) as connection:
        if state == "on":
            standbys = list(synchronous.switch_on(connection, names))
        else:
            is_changed = synchronous.switch_off(connection)
    if json_:
        print_json({"synchronous": state == "on", "standbys": standbys, "changed": is_changed})
    elif state == "on":
        print(f"Writes wait for {', or else '.join(standbys)}.\n{BLOCKS}")
    elif is_changed:
        print("Replication is now asynchronous; recent commits may be lost if the primary fails.")
    else:
        print("Replication was asynchronous already.")


@replica.command(example="replica start .local/standby")
@directory_argument
@json_option
def start(*, directory: Path, json_: bool) -> None:
    """Start the standby in a data directory; it outlives this command."""
    from db.replication import local
    from db.replication.servers import Address

    local.start(operator_configuration().client.programs, directory)
    address = Address.of_directory(directory)
    print_result({"address": address}, f"Running at {address}.", json_=json_)


@replica.command(example="replica stop .local/standby")
@directory_argument
@json_option
def stop(*, directory: Path, json_: bool) -> None:
    """Stop the standby in a data directory."""
    from db.replication import local

    is_stopped = local.stop(operator_configuration().client.programs, directory)
    sentence = "Stopped." if is_stopped else "It was not running."
    print_result({"stopped": is_stopped}, sentence, json_=json_)


@replica.command(example="replica drop standby1")
@click.argument("name")
@yes_option
@json_option
def drop(*, name: str, yes: bool, json_: bool) -> None:
    """Drop the replication slot of a standby that is gone for good, and the WAL kept for it."""
    from db.replication.servers import connected
    from db.replication.slots import drop_slot

    confirm(f"Drop slot {name}? Its standby could no longer follow.", yes=yes)
    with connected(operator_configuration().maintenance.url) as connection:
        drop_slot(connection, name)
    print_result({"dropped": name}, f"Dropped slot {name}.", json_=json_)


@replica.command("reset-slot", example="replica reset-slot standby1")
@click.argument("name")
@json_option
def reset_slot(*, name: str, json_: bool) -> None:
    """Have the primary retain WAL again for a standby that catches up from the WAL archive."""
    from db.replication import slots
    from db.replication.servers import connected

    with connected(operator_configuration().maintenance.url) as connection:
        slots.reset_slot(connection, name)
    print_result({"reset": name}, f"Slot {name} retains WAL from now on.", json_=json_)


def _print_created(created: Standby, *, log: str | None) -> None:
    print(f"Standby {created.name} of {created.primary} is in {created.directory}, verified.")
    print(f"It logs in as {created.user}, with the password in {created.passfile}.")
    if log is not None:
        print(f"Running at {created.listen}; log: {log}.")
        print(f"Stop it with: template-service replica stop {shlex.quote(str(created.directory))}")
    else:
        print(
            f"Start it with: template-service replica start {shlex.quote(str(created.directory))}"
        )
    for warning in created.warnings:
        print(f"Warning: {warning}")


def _print_status(current: ReplicationStatus) -> None:
    print(f"{current.server} is a {current.role}.")
    if current.received is not None:
        print_table([current.received])
        return
    print_table(current.standbys, title="Standbys", empty="No standby is connected.")
    print_table(current.slots, title="Slots", empty="No replication slots.")
    print(f"Writes wait for: {current.synchronous or 'no standby'}")
