"""``template-service replica``: make, watch and promote a standby."""

from dataclasses import asdict
from pathlib import Path

import click

from db.replication import local, promotion, synchronous
from db.replication.servers import DEFAULT_PORT, Address, connected
from db.replication.slots import drop_slot
from db.replication.standby import USER, Standby, StandbyOptions
from db.replication.standby import create as create_standby
from db.replication.status import ReplicationStatus, replication_status
from db.roles.passwords import read as read_password
from worker.cli.operator import as_json, as_table, confirmed, explained, operator_configuration

JSON = click.option("--json", "json_", is_flag=True, help="Print JSON, for programs.")
DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))
BLOCKS = (
    "Every write now waits for a standby: when none is left, writes stop until one is back, or "
    "until you run: template-service replica synchronous off"
)


@click.group
def replica() -> None:
    """Make, watch and promote a standby."""


@replica.command
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    required=True,
    help="Its data directory, on this machine, which must not exist.",
)
@click.option("--name", default="standby1", show_default=True, help="Its name and its slot's.")
@click.option("--host", default="localhost", show_default=True, help="Where it listens; * for all.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Where it listens.",
)
@click.option("--user", default=USER, show_default=True, help="The role that it replicates as.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the password of that role. Without it one is made.",
)
@click.option("--start", is_flag=True, help="Start it; it outlives this command.")
@click.option("--synchronous", "wait", is_flag=True, help="Have writes wait for it; with --start.")
@JSON
@explained
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
    """Make a standby of the database, here.

    DATABASE_URL, or the one for maintenance, names the primary, with a role that may replicate and
    make roles. Its programs must be of the same major version as those here.
    """
    if wait and not start:
        raise click.UsageError("--synchronous needs --start: writes would wait for it")
    client = operator_configuration().client
    password = read_password(password_file) if password_file else None
    options = StandbyOptions(name, into, Address(host, port), user)
    made = create_standby(client, options, password=password)
    if start:
        local.start(client.programs, made.directory)
        with connected(client.url) as connection:
            synchronous.wait_streaming(connection, [name])
            if wait:
                synchronous.switch_on(connection, [name])
    if json_:
        as_json({**asdict(made), "started": start, "synchronous": wait})
    else:
        _show_made(made, started=start, waits=wait)


@replica.command
@click.argument("server", required=False)
@JSON
@explained
def status(*, server: str | None, json_: bool) -> None:
    """Show how far behind each standby is; exit status 1 if something is wrong.

    SERVER is HOST:PORT or a data directory; without it the primary is asked.
    """
    url = operator_configuration().maintenance.url
    with connected(url, Address.read(server) if server else None) as connection:
        found = replication_status(connection)
    if json_:
        as_json(asdict(found))
    else:
        _show_status(found)
    if found.problems:
        raise click.ClickException("\n".join(found.problems))


@replica.command
@click.argument("server", required=False)
@click.option("--force", is_flag=True, help="Even though the primary answers.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@explained
def promote(*, server: str | None, force: bool, yes: bool, json_: bool) -> None:
    """Make a standby the primary.

    SERVER is HOST:PORT or a data directory; it may be left out when DATABASE_URL names several
    hosts, of which one is a standby. Refused while the primary answers.
    """
    url = operator_configuration().maintenance.url
    standby = Address.read(server) if server else promotion.find_standby(url)
    confirmed(f"Make the standby at {standby} the primary? The old one must stay stopped", yes=yes)
    done = promotion.promote(url, standby, force=force)
    if json_:
        as_json(asdict(done))
        return
    print(f"{done.server} is the primary now, on timeline {done.timeline}.")
    commit = f"; its last commit was at {done.last_commit}" if done.last_commit else ""
    print(f"It has everything up to {done.last_received} of the old primary{commit}.")
    for note in done.notes:
        print(note)


@replica.command("synchronous")
@click.argument("state", type=click.Choice(["on", "off"]))
@click.argument("names", nargs=-1)
@explained
def switch(*, state: str, names: tuple[str, ...]) -> None:
    """Have writes wait for a standby, or for none.

    With NAMES, for the first of these that is connected; else for the first of all.
    """
    if state == "off" and names:
        raise click.UsageError("off takes no names")
    with connected(operator_configuration().maintenance.url) as connection:
        if state == "on":
            chosen = synchronous.switch_on(connection, names)
            print(f"Writes wait for {', or else '.join(chosen)}.\n{BLOCKS}")
        elif synchronous.switch_off(connection):
            print("Writes wait for no standby: those of the last moment are lost with the primary.")
        else:
            print("Writes waited for no standby.")


@replica.command
@DIRECTORY
@explained
def start(*, directory: Path) -> None:
    """Start the standby on a data directory; it outlives this command."""
    local.start(operator_configuration().client.programs, directory)
    print(f"It runs at {Address.of_directory(directory)}.")


@replica.command
@DIRECTORY
@explained
def stop(*, directory: Path) -> None:
    """Stop the standby on a data directory."""
    stopped = local.stop(operator_configuration().client.programs, directory)
    print("Stopped." if stopped else "It did not run.")


@replica.command
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@explained
def drop(*, name: str, yes: bool) -> None:
    """Drop the slot of a standby that is gone for good, and the WAL kept for it."""
    confirmed(f"Drop slot {name}? Its standby could not follow any more", yes=yes)
    with connected(operator_configuration().maintenance.url) as connection:
        drop_slot(connection, name)
    print(f"Slot {name} is dropped.")


def _show_made(made: Standby, *, started: bool, waits: bool) -> None:
    print(f"Standby {made.name} of {made.primary} is in {made.directory}, verified.")
    print(f"It logs in as {made.user}, with the password in {made.passfile}.")
    if started:
        print(f"It runs at {made.listen}; its log is {local.log_of(made.directory)}.")
        print(f"Stop it with: template-service replica stop {made.directory}")
    else:
        print(f"Start it with: template-service replica start {made.directory}")
    if waits:
        print(BLOCKS)
    for warning in made.warnings:
        print(f"Warning: {warning}")


def _show_status(found: ReplicationStatus) -> None:
    print(f"{found.server} is a {found.role}.")
    if found.received is not None:
        as_table([found.received])
        return
    as_table(found.standbys, title="Standbys", empty="No standby is connected.")
    as_table(found.slots, title="Slots", empty="There is no replication slot.")
    print(f"Writes wait for: {found.synchronous or 'no standby'}")
