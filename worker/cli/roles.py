"""``template-service db roles``: the roles of the database."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import click

from db.cluster.processes import write_private
from db.roles import passwords
from db.roles.apply import Applied, apply, preview
from db.roles.drop import drop
from db.roles.names import DEFAULT_PREFIX, LOGINS, Kind, Names
from db.roles.status import status
from db.session import libpq_url
from worker.cli.operator import as_json, as_table, confirmed, explained, operator_configuration

ADDRESSES: dict[Kind, str] = {
    "app": "DATABASE_URL",
    "maintenance": "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
}
_prefix = click.option(
    "--prefix",
    default=DEFAULT_PREFIX,
    show_default=True,
    help="What their names begin with; other databases of the server need another one.",
)
_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")


@click.group("roles")
def roles() -> None:
    """Roles of the database: worker, maintenance, and people who only read.

    These commands connect with DATABASE_URL, as alembic does.
    """


def _given(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Mapping[Kind, Path]:
    given: dict[Kind, Path] = {}
    for value in values:
        name, _equals, file = value.partition("=")
        kinds = [kind for kind in LOGINS if kind == name]
        if not kinds or not file:
            raise click.BadParameter(f"ROLE=FILE was expected, with one of {', '.join(LOGINS)}")
        given[kinds[0]] = Path(file)
    return given


@roles.command("apply")
@_prefix
@click.option(
    "--password-file",
    "given",
    metavar="ROLE=FILE",
    multiple=True,
    callback=_given,
    help="Set the password in this file; ROLE is app, maintenance or readonly.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files of generated passwords; those that are there are used.",
)
@click.option("--rotate", is_flag=True, help="Generate new passwords for roles that have one.")
@click.option(
    "--close-others",
    is_flag=True,
    help="Keep roles without a grant out of the server's other databases too.",
)
@click.option("--dry-run", is_flag=True, help="Print the SQL, passwords hidden, and do nothing.")
@_json
@explained
def apply_roles(  # noqa: PLR0913 - the options of the command
    *,
    prefix: str,
    given: Mapping[Kind, Path],
    output: Path | None,
    rotate: bool,
    close_others: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Make the roles, or bring them to what they should be.

    DATABASE_URL has to be that of a superuser, who goes on running the migrations. Run it again
    after a migration that adds tables.
    """
    url = operator_configuration().database.url
    names = Names(prefix)
    if dry_run:
        planned = preview(url, names, rotate=rotate, close_others=close_others)
        if json_:
            as_json({"dry_run": True, "sql": planned})
        else:
            print(planned)
        return
    done = apply(url, names, given=given, output=output, rotate=rotate, close_others=close_others)
    addresses = {name: _address(url, names.of(kind)) for kind, name in ADDRESSES.items()}
    environment = None if output is None else _environment(output, done, url)
    if json_:
        as_json({**asdict(done), "addresses": addresses, "environment_file": environment})
    else:
        _show(done, addresses, environment)


@roles.command("status")
@_prefix
@_json
@explained
def show_status(*, prefix: str, json_: bool) -> None:
    """Show what the roles may do; exit status 1 if that is not what it should be."""
    found = status(operator_configuration().database.url, Names(prefix))
    if json_:
        as_json(asdict(found))
    else:
        as_table(found.roles, empty="there are none yet: template-service db roles apply")
        for sentence in found.findings:
            print(f"- {sentence}")
    if found.findings:
        raise SystemExit(1)


@roles.command("drop")
@_prefix
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
@explained
def drop_roles(*, prefix: str, yes: bool, json_: bool) -> None:
    """Drop the roles; the tables become those of DATABASE_URL's user.

    Whoever is connected as one of them stays so until the connection ends.
    """
    names = Names(prefix)
    confirmed(f"Drop the roles {', '.join(names.all())}?", yes=yes)
    dropped = drop(operator_configuration().database.url, names)
    if json_:
        as_json({"dropped": dropped})
    else:
        print(f"Dropped: {', '.join(dropped) or 'none, there were none'}")


def _show(done: Applied, addresses: Mapping[str, str], environment: Path | None) -> None:
    as_table(
        [
            {
                "role": role.kind,
                "name": role.name,
                "password": role.password,
                "file": role.file,
            }
            for role in done.roles
        ]
    )
    for name, address in addresses.items():
        print(f"{name}={address}")
    if environment is not None:
        print(f"The same with passwords, for a worker's shell: . {environment}")
    print(f"Migrations and this command go on as {done.user}.")
    if done.open_databases:
        print(
            f"Every role may still connect to: {', '.join(done.open_databases)}. "
            "To end that: --close-others"
        )


def _environment(output: Path, done: Applied, url: str) -> Path | None:
    """Write what a worker's shell needs, if the passwords are known; return the file."""
    lines = []
    for role in done.roles:
        if role.kind in ADDRESSES:
            file = role.file or output / role.name
            if not file.exists():
                return None
            address = _address(url, role.name, passwords.read(file))
            lines.append(f"export {ADDRESSES[role.kind]}={shlex.quote(address)}\n")
    path = output / "env"
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, "".join(lines))
    return path


def _address(url: str, user: str, password: str = "") -> str:
    """Return ``url`` as another user, with the password if one is given."""
    parts = urlsplit(libpq_url(url))
    hosts = parts.netloc.rpartition("@")[2]
    secret = f":{quote(password, safe='')}" if password else ""
    query = [item for item in parse_qsl(parts.query) if item[0] not in {"user", "password"}]
    return urlunsplit(
        parts._replace(
            netloc=f"{user}{secret}@{hosts}", query=urlencode(query, safe="/:,", quote_via=quote)
        )
    )
